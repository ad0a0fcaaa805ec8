//! What answers say about the end of an API version: `deprecation` (RFC 9745), `sunset` (RFC 8594)
//! and `link`. Which version ends when is the control plane's to know: the component `gateway`,
//! which is asked every few seconds, beside the requests and never before one. Without it, or
//! before it has answered, answers say nothing.

use crate::backend::Backend;
use crate::table::Table;
use arc_swap::ArcSwap;
use http::header::{HeaderMap, HeaderName, HeaderValue, LINK};
use http_body_util::{BodyExt as _, Limited};
use nexus_runtime::{Call, ComponentId, Principal, full};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The component that is the control plane.
pub(crate) const CONTROL_PLANE: &str = "gateway";
const PATH: &str = "/api/gateway/v1/lifecycles";
/// An end is announced months ahead; seconds are for whoever has just announced it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A thousand versions, each with a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What the control plane has said last; shared by all shards.
pub(crate) struct Lifecycles {
    known: ArcSwap<HashMap<String, Fields>>,
    began: Instant,
    /// Milliseconds after `began` at which somebody asks again.
    next: AtomicU64,
    server: String,
    tenant: Uuid,
}

/// Of one version, ready to be sent.
#[derive(Debug, PartialEq)]
struct Fields {
    deprecation: HeaderValue,
    sunset: Option<HeaderValue>,
    link: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Answer {
    /// The control plane could read what it knows.
    known: bool,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    service: String,
    version: String,
    deprecation: String,
    sunset: Option<String>,
    link: Option<String>,
}

impl Lifecycles {
    pub(crate) fn new(server: String, tenant: Uuid) -> Self {
        Self {
            known: ArcSwap::from_pointee(HashMap::new()),
            began: Instant::now(),
            next: AtomicU64::new(0),
            server,
            tenant,
        }
    }

    /// Says it on an answer from below `path`. Costs one load where nothing ends.
    pub(crate) fn mark(&self, path: &str, headers: &mut HeaderMap) {
        let known = self.known.load();
        if known.is_empty() {
            return;
        }
        let Some(fields) = version_of(path).and_then(|version| known.get(version)) else {
            return;
        };
        headers
            .insert(const { HeaderName::from_static("deprecation") }, fields.deprecation.clone());
        if let Some(sunset) = &fields.sunset {
            headers.insert(const { HeaderName::from_static("sunset") }, sunset.clone());
        }
        if let Some(link) = &fields.link {
            // Beside the component's own, such as that of the next page.
            headers.append(LINK, link.clone());
        }
    }

    /// Whether it is time to ask again; says so to one caller only.
    pub(crate) fn due(&self, table: &Table) -> Option<ComponentId> {
        let gateway = table.control_plane.as_ref()?;
        let now = self.began.elapsed().as_millis() as u64;
        let next = self.next.load(Relaxed);
        let after = now + LOOK_EVERY.as_millis() as u64;
        let mine = now >= next && self.next.compare_exchange(next, after, Relaxed, Relaxed).is_ok();
        mine.then(|| gateway.clone())
    }

    /// Asks the control plane. Whatever goes wrong, what was known stays.
    pub(crate) async fn look<B: Backend>(&self, backend: &B, gateway: &ComponentId) {
        let asked = async {
            let request = http::Request::builder()
                .uri(format!("{}{PATH}", self.server))
                .header("accept", "application/json")
                .body(full(""))
                .ok()?;
            let anonymous = Arc::new(Principal::anonymous(self.tenant));
            let call = Call::new(crate::identity::new_request_id(), anonymous);
            let response = backend.call(gateway, request, call).await.ok()?;
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.ok()?;
            serde_json::from_slice::<Answer>(&body.to_bytes()).ok()
        };
        let answer = tokio::time::timeout(ANSWER_MAX, asked).await.ok().flatten();
        match answer {
            Some(answer) if answer.known => self.known.store(Arc::new(read(answer))),
            _ => tracing::debug!("the control plane did not say which API versions end"),
        }
    }
}

/// What cannot stand in a header is left out.
fn read(answer: Answer) -> HashMap<String, Fields> {
    let value = |text: String| HeaderValue::try_from(text).ok();
    let fields = |item: Item| {
        let fields = Fields {
            deprecation: value(item.deprecation)?,
            sunset: item.sunset.and_then(value),
            link: item.link.and_then(value),
        };
        Some((format!("{}/{}", item.service, item.version), fields))
    };
    answer.items.into_iter().filter_map(fields).collect()
}

/// `<service>/<version>` of a path below `/api/`.
fn version_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("/api/")?;
    let service = below.find('/')?;
    let version = below[service + 1..].find('/').map_or(below.len(), |at| service + 1 + at);
    Some(&below[..version])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Lifecycles {
        let lifecycles = Lifecycles::new("https://a.example".into(), Uuid::nil());
        let answer = serde_json::from_value(serde_json::json!({ "known": true, "items": [
            { "service": "kms", "version": "v1", "deprecation": "@1772323200",
              "sunset": "Mon, 01 Mar 2027 00:00:00 GMT", "link": "</api/kms/v2>; rel=\"x\"" },
            { "service": "bad", "version": "v1", "deprecation": "a\r\nset-cookie: b" },
        ] }));
        lifecycles.known.store(Arc::new(read(answer.unwrap())));
        lifecycles
    }

    #[test]
    fn only_answers_of_the_version_that_ends_say_so_beside_what_they_say_anyway() {
        let lifecycles = known();
        let marked = |path| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, HeaderValue::from_static("<?cursor=x>; rel=\"next\""));
            lifecycles.mark(path, &mut headers);
            (headers.contains_key("deprecation"), headers.get_all(LINK).iter().count())
        };
        for path in ["/api/kms/v1/keys", "/api/kms/v1", "/api/kms/v1/"] {
            assert_eq!(marked(path), (true, 2), "{path}");
        }
        for path in ["/api/kms/v2/keys", "/api/kms/v11/keys", "/api/kms", "/api/", "/", "/kms/v1"] {
            assert_eq!(marked(path), (false, 1), "{path}");
        }
        assert_eq!(marked("/api/bad/v1/x"), (false, 1), "no header that is none");
    }

    #[test]
    fn one_of_many_asks_again_and_only_when_it_is_time() {
        let lifecycles = Lifecycles::new("https://a.example".into(), Uuid::nil());
        let mut table = Table::empty();
        assert_eq!(lifecycles.due(&table), None, "nobody is there to be asked");
        table.control_plane = Some(ComponentId::new(CONTROL_PLANE).unwrap());
        assert!(lifecycles.due(&table).is_some());
        assert_eq!(lifecycles.due(&table), None, "another has just asked");
    }
}
