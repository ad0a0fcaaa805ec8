//! An ordinary Spin component: every interface of `spin-sdk` that the host offers, one path each.
//! Built with `spin-sdk` alone; knows nothing of Nexus.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::Response;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use spin_sdk::http::body::IncomingBodyExt as _;
use spin_sdk::http::{BoxBody, FullBody, Request, box_body};
use spin_sdk::key_value::Store;
use spin_sdk::pg::{Connection, DbValue, Decode as _, ParameterValue};
use spin_sdk::{http_service, redis, variables, wasip3};

#[http_service]
async fn serve(request: Request) -> Result<Response<BoxBody>> {
    let path = request.uri().path().to_string();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["hello"] => text("hello"),
        ["headers"] => headers(&request),
        ["echo"] => echo(request),
        ["events", count] => events(count.parse()?),
        ["after-response", key] => after_response((*key).to_string()).await,
        ["key-value", key] => key_value(key, request).await,
        ["keys"] => keys().await,
        ["variables", name] => variable(name).await,
        ["redis", key] => redis_round(key, &query(&request, "address")?).await,
        ["postgres", "types"] => postgres_types(&query(&request, "address")?).await,
        ["postgres", "stream", rows] => postgres_stream(&query(&request, "address")?, rows).await,
        ["postgres", "query"] => postgres_query(request).await,
        ["fetch"] => fetch(&query(&request, "url")?).await,
        _ => Ok(Response::builder().status(404).body(box_body(FullBody::new(Bytes::new())))?),
    }
}

fn text(body: impl Into<Bytes>) -> Result<Response<BoxBody>> {
    Ok(Response::new(box_body(FullBody::new(body.into()))))
}

fn json_of(value: &Value) -> Result<Response<BoxBody>> {
    let body = box_body(FullBody::new(Bytes::from(value.to_string())));
    Ok(Response::builder().header("content-type", "application/json").body(body)?)
}

fn query(request: &Request, name: &str) -> Result<String> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    Ok(found.with_context(|| format!("the query has no {name}"))?.1.to_string())
}

fn headers(request: &Request) -> Result<Response<BoxBody>> {
    let pairs = request.headers().iter();
    let seen: serde_json::Map<String, Value> = pairs
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    json_of(&Value::Object(seen))
}

/// Streams the request body back, chunk by chunk.
fn echo(request: Request) -> Result<Response<BoxBody>> {
    Ok(Response::new(box_body(request.into_body().map_err(anyhow::Error::from))))
}

/// Server-sent events, one at a time.
fn events(count: u32) -> Result<Response<BoxBody>> {
    let (mut sender, body) = spin_sdk::http::body::stream::<Bytes>();
    wasip3::spawn(async move {
        for number in 0..count {
            let event = Bytes::from(format!("id: {number}\ndata: event {number}\n\n"));
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::builder().header("content-type", "text/event-stream").body(box_body(body))?)
}

/// Answers at once and writes afterwards.
async fn after_response(key: String) -> Result<Response<BoxBody>> {
    wasip3::spawn(async move {
        if let Ok(store) = Store::open_default().await {
            let _too_late_to_tell = store.set(key, b"written after the response").await;
        }
    });
    text("answered")
}

async fn key_value(key: &str, request: Request) -> Result<Response<BoxBody>> {
    let store = Store::open_default().await?;
    match request.method().as_str() {
        "PUT" => {
            let value = request.into_body().bytes().await?;
            store.set(key, &value).await?;
            text("")
        }
        "DELETE" => {
            store.delete(key).await?;
            text("")
        }
        _ => match store.get(key).await? {
            Some(value) => text(value),
            None => {
                Ok(Response::builder().status(404).body(box_body(FullBody::new(Bytes::new())))?)
            }
        },
    }
}

async fn keys() -> Result<Response<BoxBody>> {
    let mut keys = Store::open_default().await?.get_keys().await;
    let mut found = Vec::new();
    while let Some(key) = keys.next().await {
        found.push(Value::from(key));
    }
    keys.result().await?;
    json_of(&Value::Array(found))
}

async fn variable(name: &str) -> Result<Response<BoxBody>> {
    match variables::get(name).await {
        Ok(value) => text(value),
        Err(error) => {
            let body = box_body(FullBody::new(Bytes::from(format!("{error:?}"))));
            Ok(Response::builder().status(422).body(body)?)
        }
    }
}

async fn redis_round(key: &str, address: &str) -> Result<Response<BoxBody>> {
    let connection = redis::Connection::open(address).await.map_err(said)?;
    connection.set(key, b"value").await.map_err(said)?;
    let count = format!("{key}:count");
    connection.del([&count]).await.map_err(said)?;
    connection.incr(&count).await.map_err(said)?;
    let counted = connection.incr(&count).await.map_err(said)?;
    let value = connection.get(key).await.map_err(said)?.unwrap_or_default();
    json_of(&json!({ "value": String::from_utf8_lossy(&value), "counted": counted }))
}

fn said(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

/// One value of each type, there and back.
async fn postgres_types(address: &str) -> Result<Response<BoxBody>> {
    let connection = Connection::open(address).await.map_err(said)?;
    let parameters = [
        ParameterValue::Boolean(true),
        ParameterValue::Int16(-2),
        ParameterValue::Int32(3),
        ParameterValue::Int64(4_000_000_000),
        ParameterValue::Floating64(0.5),
        ParameterValue::Str("grüße".into()),
        ParameterValue::Binary(vec![0, 255]),
        ParameterValue::Jsonb(br#"{"a": 1}"#.to_vec()),
        ParameterValue::ArrayStr(vec![Some("a".into()), None]),
        ParameterValue::Decimal("12.340".into()),
        ParameterValue::DbNull,
    ];
    let statement = "select $1::bool, $2::int2, $3::int4, $4::int8, $5::float8, $6::text, \
                     $7::bytea, $8::jsonb, $9::text[], $10::numeric, $11::text";
    let result = connection.query(statement, parameters).await.map_err(said)?;
    let columns = result.columns().len();
    let rows = result.collect().await.map_err(said)?;
    let [row] = rows.as_slice() else { bail!("{} rows", rows.len()) };
    json_of(&json!({
        "columns": columns,
        "bool": bool::decode(&row[0]).map_err(said)?,
        "int2": i16::decode(&row[1]).map_err(said)?,
        "int4": i32::decode(&row[2]).map_err(said)?,
        "int8": i64::decode(&row[3]).map_err(said)?,
        "float8": f64::decode(&row[4]).map_err(said)?,
        "text": String::decode(&row[5]).map_err(said)?,
        "bytea": Vec::<u8>::decode(&row[6]).map_err(said)?,
        "jsonb": Value::decode(&row[7]).map_err(said)?,
        "array": Vec::<Option<String>>::decode(&row[8]).map_err(said)?,
        "numeric": decimal(&row[9]),
        "null": matches!(row[10], DbValue::DbNull),
    }))
}

fn decimal(value: &DbValue) -> String {
    match value {
        DbValue::Decimal(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Sums a long result without ever holding it.
async fn postgres_stream(address: &str, rows: &str) -> Result<Response<BoxBody>> {
    let connection = Connection::open(address).await.map_err(said)?;
    let rows: i64 = rows.parse()?;
    let statement = "select n from generate_series(1, $1::int8) n";
    let mut result = connection.query(statement, [rows.into()]).await.map_err(said)?;
    let (mut count, mut sum) = (0_i64, 0_i64);
    while let Some(row) = result.next().await {
        count += 1;
        sum += row.get::<i64>("n").context("n is an int8")?;
    }
    result.result().await.map_err(said)?;
    json_of(&json!({ "count": count, "sum": sum }))
}

/// Runs the statement of the body; answers the rows as debug text, or the error's SQLSTATE.
async fn postgres_query(request: Request) -> Result<Response<BoxBody>> {
    let address = query(&request, "address")?;
    let statement = String::from_utf8(request.into_body().bytes().await?.to_vec())?;
    let connection = match Connection::open(address).await {
        Ok(connection) => connection,
        Err(error) => return json_of(&json!({ "refused": format!("{error:?}") })),
    };
    let result = match connection.query(statement, []).await {
        Ok(result) => result.collect().await,
        Err(error) => Err(error),
    };
    match result {
        Ok(rows) => json_of(&json!({ "rows": rows.len() })),
        Err(error) => json_of(&json!({ "error": format!("{error:?}") })),
    }
}

/// Fetches a URL and passes status and body on.
async fn fetch(url: &str) -> Result<Response<BoxBody>> {
    match spin_sdk::http::get(url).await {
        Ok(response) => {
            let status = response.status();
            let mut body = response.into_body().stream();
            let mut all = Vec::new();
            while let Some(chunk) = body.next().await {
                all.extend_from_slice(&chunk?);
            }
            Ok(Response::builder().status(status).body(box_body(FullBody::new(all.into())))?)
        }
        Err(code) => {
            let body = box_body(FullBody::new(Bytes::from(format!("{code:?}"))));
            Ok(Response::builder().status(424).body(body)?)
        }
    }
}
