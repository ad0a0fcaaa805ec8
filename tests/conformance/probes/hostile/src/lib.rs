//! Everything a component must not get away with, one path each. `/hello` is the good neighbour.

use anyhow::Result;
use bytes::Bytes;
use futures::SinkExt as _;
use http::Response;
use http_body_util::BodyExt as _;
use spin_sdk::http::{BoxBody, FullBody, Request, box_body};
use spin_sdk::pg::Connection;
use spin_sdk::time::sleep;
use spin_sdk::{http_service, wasip3};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Longer than any limit. A guest that waits for nothing at all is a deadlock, and a trap.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

#[http_service]
async fn serve(request: Request) -> Result<Response<BoxBody>> {
    let address = request.uri().query().unwrap_or_default().to_string();
    match request.uri().path().rsplit('/').next().unwrap_or_default() {
        "hello" => text("hello"),
        "endless-loop" => endless_loop(),
        "long-loop" => long_loop(),
        "endless-allocation" => endless_allocation(),
        "holds-memory" => hold_memory(request).await,
        "handle-bomb" => handle_bomb(),
        "stream-bomb" => stream_bomb(),
        "trap" => std::process::abort(),
        "trap-mid-response" => trap_mid_response(),
        "huge-headers" => huge_headers(),
        "never-ending-body" => never_ending_body(),
        "never-answers" => never_answers().await,
        "answers-then-hangs" => answers_then_hangs(),
        "stalled-body" => stalled_body(),
        "log-flood" => log_flood(),
        "deep-recursion" => text(recurse(black_box(1)).to_string()),
        "ignores-the-request-body" => text("ignored"),
        "drinks-the-request-body" => drink(request).await,
        "transaction-left-open" => transaction_left_open(&address).await,
        "transaction-then-trap" => transaction_then_trap(&address).await,
        "hoard-connections" => hoard_connections(&address).await,
        _ => Ok(Response::builder().status(404).body(box_body(FullBody::new(Bytes::new())))?),
    }
}

fn text(body: impl Into<Bytes>) -> Result<Response<BoxBody>> {
    Ok(Response::new(box_body(FullBody::new(body.into()))))
}

fn endless_loop() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

/// Computes for a second.
fn long_loop() -> Result<Response<BoxBody>> {
    let began = Instant::now();
    let mut number = 0_u64;
    while began.elapsed() < Duration::from_secs(1) {
        number = black_box(number.wrapping_add(1));
    }
    text("computed")
}

fn endless_allocation() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// 48 MiB, held for as long as the client keeps its request's body open.
async fn hold_memory(request: Request) -> Result<Response<BoxBody>> {
    let held = black_box(vec![1_u8; 48 << 20]);
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    text(held.len().to_string())
}

/// Resources of the host's, as many as it will give.
fn handle_bomb() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(wasip3::http::types::Fields::new()));
    }
}

fn stream_bomb() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(wasip3::wit_stream::new::<u8>()));
    }
}

fn trap_mid_response() -> Result<Response<BoxBody>> {
    let (mut sender, body) = spin_sdk::http::body::stream::<Bytes>();
    wasip3::spawn(async move {
        let _open = sender.send(Bytes::from_static(b"the first part")).await;
        // By then the first part is on its way.
        sleep(Duration::from_millis(200)).await;
        std::process::abort();
    });
    Ok(Response::new(box_body(body)))
}

fn huge_headers() -> Result<Response<BoxBody>> {
    let mut response = Response::builder();
    for number in 0..4_000 {
        response = response.header(format!("x-header-{number}"), "x".repeat(200));
    }
    Ok(response.body(box_body(FullBody::new(Bytes::new())))?)
}

fn never_ending_body() -> Result<Response<BoxBody>> {
    let (mut sender, body) = spin_sdk::http::body::stream::<Bytes>();
    wasip3::spawn(async move {
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        while sender.send(chunk.clone()).await.is_ok() {}
    });
    Ok(Response::new(box_body(body)))
}

async fn never_answers() -> Result<Response<BoxBody>> {
    sleep(FOREVER).await;
    text("at last")
}

fn answers_then_hangs() -> Result<Response<BoxBody>> {
    wasip3::spawn(sleep(FOREVER));
    text("answered")
}

fn stalled_body() -> Result<Response<BoxBody>> {
    let (mut sender, body) = spin_sdk::http::body::stream::<Bytes>();
    wasip3::spawn(async move {
        let _open = sender.send(Bytes::from_static(b"and then nothing")).await;
        sleep(FOREVER).await;
    });
    Ok(Response::new(box_body(body)))
}

fn log_flood() -> Result<Response<BoxBody>> {
    println!("{}", "x".repeat(1_000_000));
    for number in 0..50_000 {
        println!("line {number}");
    }
    text("flooded")
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(black_box(depth + 1)) + 1 }
}

async fn drink(request: Request) -> Result<Response<BoxBody>> {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    text(bytes.to_string())
}

async fn transaction_left_open(address: &str) -> Result<Response<BoxBody>> {
    let connection = Connection::open(address).await.map_err(said)?;
    connection.execute("begin", []).await.map_err(said)?;
    connection.execute("insert into mark values (1)", []).await.map_err(said)?;
    text("left open")
}

async fn transaction_then_trap(address: &str) -> Result<Response<BoxBody>> {
    let connection = Connection::open(address).await.map_err(said)?;
    connection.execute("begin", []).await.map_err(said)?;
    connection.execute("insert into mark values (2)", []).await.map_err(said)?;
    std::process::abort();
}

/// Opens connections until refused, and keeps them while it sleeps in the database.
async fn hoard_connections(address: &str) -> Result<Response<BoxBody>> {
    let mut hoard = Vec::new();
    let refusal = loop {
        match Connection::open(address).await {
            Ok(connection) if hoard.len() < 1_000 => hoard.push(connection),
            Ok(_) => break "never refused".to_string(),
            Err(error) => break format!("{error:?}"),
        }
    };
    text(format!("{} open, then {refusal}", hoard.len()))
}

fn said(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}
