//! A user's machine: takes calls on loopback, remembers them, answers as it is told, and verifies
//! signatures by the published algorithm of Standard Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use nexus_harness::prelude::*;
use nexus_harness::repository;
use sha2::Sha256;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One call as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    /// Lower-case names.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// A machine that answers all calls alike, until told otherwise.
pub struct Receiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<String>>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// As a receiver does it that was given `whsec_…`: any of the signatures may match.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, at) = (&self.headers["webhook-id"], &self.headers["webhook-timestamp"]);
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"].split(' ').any(|one| one == expected)
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new("200 OK\r\n".to_owned()));
        let (heard, said) = (calls.clone(), answer.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, heard.clone(), said.clone()));
            }
        });
        Self { address, calls, answer }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on: a status line and header lines, without the last break.
    pub fn answers(&self, head: &str) {
        *self.answer.lock().unwrap() = format!("{head}\r\n");
    }

    pub fn calls(&self) -> Vec<Received> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until so many calls have come.
    pub async fn heard(&self, count: usize) -> Vec<Received> {
        let limit = seconds(30);
        eventually(&format!("{count} calls"), limit, async || self.calls().len() >= count).await;
        self.calls()
    }

    /// The whole suite, whose scheduler may call this machine although it is no public one.
    pub async fn suite(&self) -> Nexus {
        let file = std::fs::read_to_string(repository().join("spin.toml")).unwrap();
        let granted = r#"allowed_outbound_hosts = ["http://*:*", "https://*:*""#;
        assert!(file.contains(granted), "the scheduler's grants have another form");
        let more = format!("{granted}, \"http://{}\"", self.address);
        Nexus::setup().manifest(file.replace(granted, &more)).start().await
    }
}

async fn serve(
    mut stream: TcpStream,
    calls: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<String>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: HashMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = bytes[head_end + 4..].to_vec();
    let said = answer.lock().unwrap().clone();
    calls.lock().unwrap().push(Received { method, path, headers, body });
    let text = "heard\n";
    let whole =
        format!("HTTP/1.1 {said}content-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    stream.write_all(whole.as_bytes()).await.ok()
}
