//! A running host, asked over its operators' API. Knows what its answers mean to a command: which
//! exit code, and what to do next. Refuses to know any resource.

mod events;

pub(super) use events::Event;

use super::Failure;
use crate::config::HostOptions;
use anyhow::{Context as _, Result, anyhow, bail};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// What was named is not there.
pub(super) const MISSING: u8 = 3;
/// The host refuses.
pub(super) const REFUSED: u8 = 4;
/// No host answers.
const UNREACHABLE: u8 = 5;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longer than the host lets its own database take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// What is larger is a file: the host reads it whole, checks it and stores it.
const ORDER_BYTES_MAX: usize = 1 << 20;
const UPLOAD_MAX: Duration = Duration::from_secs(300);
/// The host's answers are smaller.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The host that a command is about.
pub(super) struct HostApi {
    base: Url,
    token: String,
    threads: tokio::runtime::Runtime,
}

/// A parameter of a query; none is left out.
pub(super) type Parameter<'a> = (&'a str, Option<String>);

impl HostApi {
    /// Looks for the token; asks nothing yet.
    pub(super) fn new(options: &HostOptions) -> Result<Self, Failure> {
        let base = address(&options.admin).map_err(Failure::Setting)?;
        let token = match &options.admin_token {
            Some(given) => given.clone(),
            None => token_in(&options.home).map_err(Failure::Setting)?,
        };
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { base, token, threads: threads.context("start a thread")? })
    }

    pub(super) fn get(&self, path: &[&str], query: &[Parameter<'_>]) -> Result<Value, Failure> {
        self.ask(Method::GET, &with_query(self.url(path), query), Bytes::new())
    }

    pub(super) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, &self.url(path), body.to_string().into())
    }

    pub(super) fn put(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::PUT, &self.url(path), body.to_string().into())
    }

    pub(super) fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.ask(Method::DELETE, &self.url(path), Bytes::new())
    }

    /// Sends a file, which is of `media_type`.
    pub(super) fn upload(
        &self,
        path: &[&str],
        query: &[Parameter<'_>],
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Value, Failure> {
        let url = with_query(self.url(path), query);
        let request = Asked { method: Method::POST, url: &url, media_type, body: bytes };
        let (status, bytes) = self
            .threads
            .block_on(exchange(&request, &self.token))
            .map_err(|error| unreachable_at(&url, &error))?;
        answer(&url, status, &bytes)
    }

    /// What the host has under a path, as it is: an archive, JSON by lines.
    pub(super) fn download(
        &self,
        path: &[&str],
        query: &[Parameter<'_>],
    ) -> Result<Bytes, Failure> {
        let url = with_query(self.url(path), query);
        let request = Asked::json(Method::GET, &url, Bytes::new());
        let (status, bytes) = self
            .threads
            .block_on(exchange(&request, &self.token))
            .map_err(|error| unreachable_at(&url, &error))?;
        match status.is_success() {
            true => Ok(bytes),
            false => answer(&url, status, &bytes).map(|_| Bytes::new()),
        }
    }

    /// Hands each event of a stream to `each`, until that says that it is enough or the host ends
    /// the stream.
    pub(super) fn follow(
        &self,
        path: &[&str],
        query: &[Parameter<'_>],
        each: &mut dyn FnMut(Event) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let url = with_query(self.url(path), query);
        self.threads.block_on(events::follow(&url, &self.token, each))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    fn ask(&self, method: Method, url: &Url, body: Bytes) -> Result<Value, Failure> {
        let request = Asked::json(method, url, body);
        let asked = self.threads.block_on(exchange(&request, &self.token));
        let (status, bytes) = asked.map_err(|error| unreachable_at(url, &error))?;
        answer(url, status, &bytes)
    }
}

/// One request.
struct Asked<'a> {
    method: Method,
    url: &'a Url,
    media_type: &'a str,
    body: Bytes,
}

impl<'a> Asked<'a> {
    fn json(method: Method, url: &'a Url, body: Bytes) -> Self {
        Self { method, url, media_type: "application/json", body }
    }
}

fn with_query(mut url: Url, query: &[Parameter<'_>]) -> Url {
    for (name, value) in query {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

fn unreachable_at(url: &Url, error: &anyhow::Error) -> Failure {
    let origin = url.origin().ascii_serialization();
    Failure::Told {
        words: format!(
            "no host answers at {origin}: {error:#}; start one with `nexus up`, or say with \
             --admin or NEXUS_ADMIN_LISTEN where it is"
        ),
        code: UNREACHABLE,
    }
}

/// The JSON of an answer; null where it has no content.
fn answer(url: &Url, status: StatusCode, bytes: &Bytes) -> Result<Value, Failure> {
    let origin = url.origin().ascii_serialization();
    let stranger = || anyhow!("what answers at {origin} ({status}) is no Nexus host");
    let answer: Value = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(bytes).map_err(|_| stranger())?,
    };
    match status.is_success() {
        true => Ok(answer),
        false => Err(refusal(status, &answer)),
    }
}

/// The API's base as an URL; what listens on every address is asked on this machine's own.
fn address(text: &str) -> Result<Url> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&full).with_context(|| format!("--admin {text} is no address"))?;
    if url.scheme() != "http" || url.host().is_none() {
        bail!(
            "--admin {text}: write it like http://127.0.0.1:8081; a host on another machine is \
             best reached through an SSH tunnel"
        );
    }
    let own = match url.host() {
        Some(url::Host::Ipv4(ip)) if ip.is_unspecified() => Some("127.0.0.1"),
        Some(url::Host::Ipv6(ip)) if ip.is_unspecified() => Some("[::1]"),
        _ => None,
    };
    url.set_host(own.or(url.host_str().map(str::to_owned).as_deref()))
        .with_context(|| format!("--admin {text} is no address"))?;
    Ok(url)
}

fn token_in(home: &Path) -> Result<String> {
    let file = home.join("admin-token");
    let token = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "there is no token in {}: set NEXUS_ADMIN_TOKEN, or name the host's folder with --home \
             or NEXUS_HOME",
            file.display()
        )
    })?;
    Ok(token.trim().to_owned())
}

/// A connection of its own, and the request that is sent on it.
async fn connect(url: &Url) -> Result<(SendRequest<Full<Bytes>>, AbortOnDrop)> {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let port = port.context("the address has no port")?;
    let place = (host.trim_matches(['[', ']']), port);
    let connecting = timeout(CONNECT_MAX, TcpStream::connect(place));
    let stream = connecting.await.context("it does not let anybody in")??;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are the sender's, too.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, AbortOnDrop(driver)))
}

/// What drives a connection, for as long as somebody reads from it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(asked: &Asked<'_>, token: &str) -> Result<Request<Full<Bytes>>> {
    let host = asked.url.host_str().unwrap_or_default();
    let port = asked.url.port_or_known_default().unwrap_or_default();
    let request = Request::builder()
        .method(asked.method.clone())
        .uri(asked.url[url::Position::BeforePath..].to_owned())
        .header(HOST, format!("{host}:{port}"))
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, asked.media_type)
        .body(Full::new(asked.body.clone()))?;
    Ok(request)
}

async fn exchange(asked: &Asked<'_>, token: &str) -> Result<(StatusCode, Bytes)> {
    let (mut sender, _driver) = connect(asked.url).await?;
    let limit = if asked.body.len() > ORDER_BYTES_MAX { UPLOAD_MAX } else { ANSWER_MAX };
    let answering = timeout(limit, async {
        let (head, body) = sender.send_request(request(asked, token)?).await?.into_parts();
        let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        Ok((head.status, read.map_err(|error| anyhow!(error))?.to_bytes()))
    });
    answering.await.context("its answer does not come")?
}

/// What a problem means to whoever has asked.
fn refusal(status: StatusCode, problem: &Value) -> Failure {
    let word = |name: &str| problem[name].as_str().unwrap_or_default();
    let kind = word("type").rsplit('/').next().unwrap_or_default();
    let mut words = word("title").to_owned();
    if words.is_empty() {
        words = format!("the host answers {status}");
    }
    if !word("detail").is_empty() {
        words = format!("{words}: {}", word("detail"));
    }
    let code = match status {
        StatusCode::UNAUTHORIZED => {
            words += "; set NEXUS_ADMIN_TOKEN, or name that host's folder with --home";
            REFUSED
        }
        StatusCode::NOT_FOUND if kind == "no-admin-route" => {
            words += "; is the host older than this program?";
            super::FAILED
        }
        StatusCode::NOT_FOUND => MISSING,
        status if status.is_client_error() => REFUSED,
        _ => super::FAILED,
    };
    Failure::Told { words, code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_what_a_host_listens_on_or_an_url() {
        for (text, base) in [
            ("127.0.0.1:8081", "http://127.0.0.1:8081/"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000/"),
            ("[::]:9000", "http://[::1]:9000/"),
            ("http://nexus.internal:8081/", "http://nexus.internal:8081/"),
            ("http://gate.internal/hosts/1", "http://gate.internal/hosts/1"),
        ] {
            assert_eq!(address(text).unwrap().as_str(), base, "{text}");
        }
        for wrong in ["https://nexus.example", "unix:///run/nexus", "http://", ":"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_problem_becomes_an_exit_code_and_a_hint() {
        let told = |status: u16, kind: &str| {
            let problem = json!({ "type": format!("/problems/host/{kind}"), "title": "No.",
                "detail": "Because." });
            match refusal(StatusCode::from_u16(status).unwrap(), &problem) {
                Failure::Told { words, code } => (words, code),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(404, "no-such-queue"), ("No.: Because.".into(), MISSING));
        assert_eq!(told(422, "filter-needed").1, REFUSED);
        let (words, code) = told(401, "admin-token-wrong");
        assert!(words.contains("NEXUS_ADMIN_TOKEN") && code == REFUSED);
        assert_eq!(told(404, "no-admin-route").1, super::super::FAILED);
        assert_eq!(told(503, "database-away").1, super::super::FAILED);
    }
}
