//! One request to a registry and its answer: TLS, time, size, redirects, and trying again. Refuses
//! to know what is asked, and to carry credentials to a place that they are not for.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A layer of 128 MiB at 1 MiB/s.
const ANSWER_MAX: Duration = Duration::from_secs(150);
const ATTEMPTS_MAX: u32 = 4;
/// Doubles with each attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// What a registry may ask us to wait.
const PAUSE_MAX: Duration = Duration::from_secs(10);
const REDIRECTS_MAX: u32 = 5;

/// What is asked. Everything asked of a registry may be asked again.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Of the answer.
    pub(crate) bytes_max: u64,
}

impl Ask {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, url, headers, body, bytes_max: 64 << 10 }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The registry's own words for what is wrong (OCI distribution specification, "Error codes").
    pub(crate) fn complaint(&self) -> String {
        let told: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let error = &told["errors"][0];
        let word = |name: &str| error[name].as_str().map(|text| text.chars().take(200).collect());
        let code: String = word("code").unwrap_or_default();
        let words: String = word("message").unwrap_or_default();
        format!("it answers {} {code} {words}", self.status.as_u16()).trim_end().to_owned()
    }
}

/// Connections to registries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Wire(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Wire {
    pub(crate) fn new() -> Self {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_MAX));
        http.enforce_http(false);
        // Where the machine has no certificates at all, plain HTTP to itself still works.
        let https = HttpsConnectorBuilder::new();
        let provider = rustls::crypto::ring::default_provider();
        let https = match https.with_provider_and_native_roots(provider.clone()) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::warn!(%error, "no registry can be reached over TLS");
                let roots = rustls::RootCertStore::empty();
                let config = rustls::ClientConfig::builder_with_provider(provider.into())
                    .with_safe_default_protocol_versions()
                    .expect("ring has the cipher suites of TLS 1.2 and 1.3")
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                HttpsConnectorBuilder::new().with_tls_config(config)
            }
        };
        let https = https.https_or_http().enable_http1().wrap_connector(http);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30));
        Self(client.build(https))
    }

    /// Asks, as often as it makes sense.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, String> {
        let mut pause = PAUSE_FIRST;
        for attempt in 1.. {
            let answer = self.follow(ask.clone()).await;
            let again = match &answer {
                Ok(answer) => {
                    answer.status.is_server_error()
                        || answer.status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(failure) => failure.again,
            };
            if !again || attempt == ATTEMPTS_MAX {
                return answer.map_err(|failure| failure.words);
            }
            let asked = answer.ok().and_then(|answer| {
                let seconds = answer.header(RETRY_AFTER.as_str())?.parse().ok()?;
                Some(Duration::from_secs(seconds))
            });
            tokio::time::sleep(asked.unwrap_or(pause).min(PAUSE_MAX)).await;
            pause *= 2;
        }
        unreachable!("the last attempt has returned")
    }

    /// Follows what a registry says about where its blobs are.
    async fn follow(&self, mut ask: Ask) -> Result<Answer, Failure> {
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.exchange(&ask).await?;
            let reads = matches!(ask.method, Method::GET | Method::HEAD);
            if !answer.status.is_redirection() || !reads {
                return Ok(answer);
            }
            let place = answer.header(LOCATION.as_str());
            let place = place.ok_or_else(|| Failure::last("it redirects to nowhere"))?;
            move_to(&mut ask, place).map_err(|words| Failure::last(&words))?;
        }
        Err(Failure::last("it redirects in circles"))
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answer, Failure> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() =
            ask.url.as_str().parse().map_err(|_| Failure::last("its address is no URL"))?;
        *request.headers_mut() = ask.headers.clone();
        let agent = concat!("nexus/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        let exchanging = timeout(ANSWER_MAX, async {
            let response = self.0.request(request).await;
            let response = response.map_err(|error| Failure::network(&error))?;
            let (head, body) = response.into_parts();
            let bytes_max = usize::try_from(ask.bytes_max).unwrap_or(usize::MAX);
            let read = Limited::new(body, bytes_max).collect().await;
            let body = read.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => Failure::network(&*error),
                Err(_) => Failure::last(&format!("it sends more than {bytes_max} bytes")),
            })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        });
        exchanging.await.unwrap_or_else(|_| Err(Failure::last("it does not answer in time")))
    }
}

/// Changes where an ask goes. Credentials stay behind when the place is another, and nothing that
/// was asked over TLS is asked without it.
pub(crate) fn move_to(ask: &mut Ask, place: &str) -> Result<(), String> {
    let to = ask.url.join(place).map_err(|_| "it points to what is no URL".to_owned())?;
    let (from, ask_headers) = (&ask.url, &mut ask.headers);
    if !matches!(to.scheme(), "http" | "https")
        || from.scheme() == "https" && to.scheme() != "https"
    {
        return Err(format!(
            "it points to {}, which is not safe",
            to.origin().ascii_serialization()
        ));
    }
    if to.origin() != from.origin() {
        ask_headers.remove(AUTHORIZATION);
    }
    ask.url = to;
    Ok(())
}

struct Failure {
    words: String,
    /// Whether another attempt may go better.
    again: bool,
}

impl Failure {
    fn last(words: &str) -> Self {
        Self { words: words.to_owned(), again: false }
    }

    fn network(error: &dyn std::error::Error) -> Self {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_words = inner.to_string();
            if !words.contains(&inner_words) {
                words = format!("{words}: {inner_words}");
            }
            cause = inner.source();
        }
        Self { words, again: true }
    }
}
