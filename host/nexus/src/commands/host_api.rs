//! A running host, asked over its operators' API. Knows what its answers mean to a command: which
//! exit code, and what to do next. Refuses to know any resource.

use super::Failure;
use crate::config::HostOptions;
use anyhow::{Context as _, Result, anyhow, bail};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
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
        let mut url = self.url(path);
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        self.ask(Method::GET, &url, Bytes::new())
    }

    pub(super) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, &self.url(path), body.to_string().into())
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    fn ask(&self, method: Method, url: &Url, body: Bytes) -> Result<Value, Failure> {
        let origin = url.origin().ascii_serialization();
        let asked = self.threads.block_on(exchange(method, url, &self.token, body));
        let (status, bytes) = asked.map_err(|error| Failure::Told {
            words: format!(
                "no host answers at {origin}: {error:#}; start one with `nexus up`, or say with \
                 --admin or NEXUS_ADMIN_LISTEN where it is"
            ),
            code: UNREACHABLE,
        })?;
        let stranger = || anyhow!("what answers at {origin} ({status}) is no Nexus host");
        let answer: Value = serde_json::from_slice(&bytes).map_err(|_| stranger())?;
        match status.is_success() {
            true => Ok(answer),
            false => Err(refusal(status, &answer)),
        }
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

/// One request on a connection of its own.
async fn exchange(
    method: Method,
    url: &Url,
    token: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes)> {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let port = port.context("the address has no port")?;
    let place = (host.trim_matches(['[', ']']), port);
    let connecting = timeout(CONNECT_MAX, TcpStream::connect(place));
    let stream = connecting.await.context("it does not let anybody in")??;
    let answering = timeout(ANSWER_MAX, async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; its errors are the sender's, too.
        let driver = tokio::spawn(connection);
        let path = url[url::Position::BeforePath..].to_owned();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("{host}:{port}"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        driver.abort();
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
