//! One request, from its checked head to the response that leaves: the order of things is here,
//! each thing itself is elsewhere.

use crate::admission::Asked;
use crate::backend::Backend;
use crate::cors::{self, Origin};
use crate::exchanges::Exchanges;
use crate::fields::{Fields, Names};
use crate::identity::{self, Trace};
use crate::inbound;
use crate::media;
use crate::outbound::{self, Outgoing, Record};
use crate::own_paths::{self, OwnPath};
use crate::peers::client_key;
use crate::problems;
use crate::rate::Taken;
use crate::refusal::Refusal;
use crate::router::Matched;
use crate::shard::Shard;
use crate::steering;
use crate::table::{Entry, Table};
use crate::upload::{self, Faults, UploadLimits};
use http::header::{CONNECTION, HOST as HOST_FIELD, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use nexus_observability::ServerSpan;
use nexus_runtime::{Call, CallError, Problem, Request, Response, full};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
// The IETF's draft of RateLimit header fields.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What one connection's requests have in common.
pub(crate) struct Door<B: Backend> {
    pub(crate) shard: Arc<Shard<B>>,
    pub(crate) peer: SocketAddr,
    /// `peer` as components see it.
    pub(crate) peer_value: HeaderValue,
    /// The peer is a proxy whose word about the client we take.
    pub(crate) trusted: bool,
    pub(crate) tls: bool,
    pub(crate) exchanges: Arc<Exchanges>,
}

/// What becomes known of a request while it is handled; needed for its answer, whichever it is.
struct Draft {
    record: Record,
    origin: Origin,
    rate: Option<Taken>,
    secure: bool,
    /// The browser has a session that is none.
    stale_cookie: bool,
    names: Names,
    /// Its body may be on its way still when the answer goes out.
    is_unread: bool,
}

/// A request whose sender and addressee are known.
struct Letter {
    parts: Parts,
    body: Incoming,
    host: Authority,
    client: SocketAddr,
    trace: Trace,
}

impl Letter {
    fn asked<'a>(&'a self, draft: &'a Draft, ip: IpAddr) -> Asked<'a> {
        Asked {
            headers: Fields::new(&self.parts.headers, draft.names),
            method: &self.parts.method,
            path: self.parts.uri.path(),
            host: &self.host,
            secure: draft.secure,
            origin: &draft.origin,
            client: self.client.ip(),
            ip,
        }
    }
}

impl<B: Backend> Door<B> {
    /// Answers one request; there is always an answer.
    pub(crate) async fn exchange(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> http::Response<Outgoing> {
        let (parts, body) = request.into_parts();
        let began = SystemTime::now();
        let names = Names::of(&parts.headers);
        let fields = Fields::new(&parts.headers, names);
        let trace = Trace::of(fields);
        let request_id = identity::request_id(fields, began);
        let method = parts.method.as_str();
        let span = ServerSpan::begin(request_id, method, trace.own, trace.parent, began);
        let mut draft = Draft {
            record: Record {
                span,
                uri: parts.uri.clone(),
                traffic: self.shard.host_traffic.clone(),
                exchange: self.exchanges.begin(),
                status: None,
                bytes: 0,
                whole: false,
            },
            origin: Origin::Own,
            rate: None,
            secure: self.tls,
            stale_cookie: false,
            names,
            is_unread: !upload::is_short(&body),
        };
        let version = parts.version;
        let is_head = parts.method == Method::HEAD;
        let within = draft.record.span.scope();
        let answer = within.of(self.answer(&mut draft, parts, body, trace)).await;
        self.finish(draft, answer, version, is_head)
    }

    async fn answer(
        &self,
        draft: &mut Draft,
        parts: Parts,
        body: Incoming,
        trace: Trace,
    ) -> Result<Response, Refusal> {
        let plane = &self.shard.plane;
        let fields = Fields::new(&parts.headers, draft.names);
        let host = inbound::check(&parts, fields, &plane.limits, &plane.authority)?;
        let client = self.client(&parts.headers, draft);
        let scheme = if draft.secure { "https" } else { "http" };
        draft.origin = plane.cors.judge(fields, scheme, host.as_str());
        if cors::is_preflight(&parts.method, fields) {
            return self.preflight(draft, &parts.headers);
        }
        inbound::check_idempotency_key(fields)?;
        let uri = parts.uri.clone();
        let path = uri.path();
        if let Some(origin) = plane.media.as_ref().filter(|_| path.starts_with(media::PREFIX)) {
            let mut response = origin.answer(&parts, &plane.identities).await?;
            outbound::harden(response.headers_mut());
            return Ok(response);
        }
        let own = own_paths::reserved(path);
        let table = self.shard.table();
        let found = if own.is_some() { None } else { table.find(path) };
        // `/...` takes what nobody else claims, and the host is somebody.
        let claimed = found.as_ref().is_some_and(|(entry, _)| !entry.takes_rest);
        let own = own.or_else(|| if claimed { None } else { own_paths::unclaimed(path) });
        match (own, found) {
            (Some(own), _) => self.show(&own, &parts, &table).await,
            (None, Some((entry, matched))) => {
                self.look_at_lifecycles(&table);
                let letter = Letter { parts, body, host, client, trace };
                self.deliver(draft, entry, &matched, letter).await
            }
            // RFC 9110 section 9.3.7: a client asks whether this server is there at all.
            (None, None) if path == "*" && parts.method == Method::OPTIONS => Ok(no_content()),
            (None, None) => Err(problems::NO_ROUTE.into()),
        }
    }

    /// The client's address, and through a trusted proxy its scheme.
    fn client(&self, headers: &HeaderMap, draft: &mut Draft) -> SocketAddr {
        if !self.trusted {
            return self.peer;
        }
        let proto = headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes);
        draft.secure = self.tls || proto == Some(b"https");
        self.shard.plane.peers.client(self.peer, headers)
    }

    fn preflight(&self, draft: &Draft, headers: &HeaderMap) -> Result<Response, Refusal> {
        if draft.origin == Origin::Foreign {
            return Err(problems::ORIGIN_NOT_ALLOWED.into());
        }
        let mut response = no_content();
        self.shard.plane.cors.preflight(headers, response.headers_mut());
        Ok(response)
    }

    async fn show(
        &self,
        own: &OwnPath<'_>,
        parts: &Parts,
        table: &Table,
    ) -> Result<Response, Refusal> {
        let pages = &self.shard.plane.pages;
        let (method, backend) = (&parts.method, &self.shard.backend);
        let answer = pages.answer(own, method, &parts.headers, backend, table).await;
        let mut response = answer?;
        outbound::harden(response.headers_mut());
        Ok(response)
    }

    /// Proves, counts, cleans and calls.
    async fn deliver(
        &self,
        draft: &mut Draft,
        entry: &Entry,
        matched: &Matched<'_>,
        mut letter: Letter,
    ) -> Result<Response, Refusal> {
        draft.record.traffic = entry.traffic.clone();
        draft.record.span.addressed(entry.component.as_str(), entry.headers.pattern());
        let fields = Fields::new(&letter.parts.headers, draft.names);
        let length = inbound::content_length(fields);
        if length.is_some_and(|length| length > entry.body_max) {
            return Err(Refusal::of_body(upload::Fault::TooLarge, entry.body_max));
        }
        let ip = client_key(letter.client.ip());
        let shard = &self.shard;
        let sender = shard.identify(&letter.asked(draft, ip)).await?;
        draft.stale_cookie = sender.stale_cookie;
        draft.rate = shard.count(entry, &sender, ip).await;
        if let Some(taken) = draft.rate.filter(|taken| !taken.allowed) {
            return Err(shard.limited(&taken));
        }
        let pins = steering::pins(fields, &sender.identity.principal)?;
        let affinity = steering::affinity(fields);
        let is_small = upload::is_small(&letter.body, fields);
        self.address(draft, entry, matched, &mut letter)?;
        let limits = &self.shard.plane.limits;
        let limits = UploadLimits {
            bytes: entry.body_max,
            grace: limits.body_grace,
            rate_min: limits.body_rate_min,
        };
        let (mut body, mut faults) = upload::wrap(letter.body, limits);
        let mut body_is_whole = false;
        if is_small {
            (body, body_is_whole) = upload::arrived(body).await;
            faults = faults.filter(|_| !body_is_whole);
        }
        // Of the connection, such as the way to another protocol: no component may have it.
        letter.parts.extensions = http::Extensions::new();
        let request = Request::from_parts(letter.parts, body);
        let id = draft.record.span.request_id().clone();
        let mut call = Call::with_header(id, sender.identity.principal, sender.identity.header);
        call.trace = letter.trace.context();
        call.body_is_whole = body_is_whole;
        (call.pins, call.affinity) = (pins, affinity);
        let answered = self.call(entry, request, call, faults.as_deref()).await;
        draft.is_unread &= faults.is_some_and(|faults| !faults.is_read());
        let mut response = answered?;
        if response.status().is_informational() {
            return Err(problems::BAD_RESPONSE.into());
        }
        steering::sign(&mut response, &entry.component);
        let path = draft.record.uri.path();
        self.shard.plane.lifecycles.mark(path, response.headers_mut());
        Ok(response)
    }

    /// Now and then, beside a request that does not wait for it.
    fn look_at_lifecycles(&self, table: &Table) {
        if let Some(gateway) = self.shard.plane.lifecycles.due(table) {
            let shard = self.shard.clone();
            tokio::spawn(async move {
                shard.plane.lifecycles.look(&shard.backend, &gateway).await;
            });
        }
    }

    /// Calls the component; a fault of the body is the answer, whatever the component makes of it.
    async fn call(
        &self,
        entry: &Entry,
        request: Request,
        call: Call,
        faults: Option<&Faults>,
    ) -> Result<Response, Refusal> {
        let called = pin!(self.shard.backend.call(&entry.component, request, call));
        let Some(faults) = faults else {
            return called.await.map_err(|error| failed(&error));
        };
        let answer = tokio::select! {
            biased;
            answer = called => answer,
            fault = faults.wait() => return Err(Refusal::of_body(fault, entry.body_max)),
        };
        match faults.first() {
            Some(fault) => Err(Refusal::of_body(fault, entry.body_max)),
            None => answer.map_err(|error| failed(&error)),
        }
    }

    /// Makes the head what a component may see: an absolute URI, clean fields, Spin's fields.
    fn address(
        &self,
        draft: &Draft,
        entry: &Entry,
        matched: &Matched<'_>,
        letter: &mut Letter,
    ) -> Result<(), Problem> {
        let parts = &mut letter.parts;
        inbound::clean(&mut parts.headers, draft.names, self.trusted);
        let (scheme, word) = match draft.secure {
            true => (Scheme::HTTPS, "https"),
            false => (Scheme::HTTP, "http"),
        };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let full_url = [word, "://", letter.host.as_str(), target].concat();
        let malformed = || problems::MALFORMED.detail("the target is no URL");
        let full_url = HeaderValue::from_maybe_shared(bytes::Bytes::from(full_url));
        let full_url = full_url.map_err(|_| malformed())?;
        let client = match letter.client == self.peer {
            true => self.peer_value.clone(),
            false => address_value(letter.client),
        };
        entry.headers.add(&mut parts.headers, matched, full_url, client);
        if !parts.headers.contains_key(HOST_FIELD) {
            let host = HeaderValue::from_str(letter.host.as_str()).map_err(|_| malformed())?;
            parts.headers.insert(HOST_FIELD, host);
        }
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(scheme);
        uri.authority = Some(letter.host.clone());
        uri.path_and_query = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from_parts(uri).map_err(|_| malformed())?;
        Ok(())
    }

    fn finish(
        &self,
        mut draft: Draft,
        answer: Result<Response, Refusal>,
        version: Version,
        is_head: bool,
    ) -> http::Response<Outgoing> {
        let plane = &self.shard.plane;
        let mut close = false;
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                self.count(&refusal);
                if refusal.problem.status.is_server_error() {
                    draft.record.span.failed(refusal.problem.name);
                }
                close = refusal.close;
                let mut response = refusal.into_response(draft.record.span.request_id());
                outbound::harden(response.headers_mut());
                response
            }
        };
        outbound::clean(response.headers_mut());
        outbound::shape(&mut response, is_head);
        let status = response.status();
        let headers = response.headers_mut();
        plane.cors.mark(&draft.origin, headers);
        if let Some(taken) = &draft.rate {
            let (policy, state) = plane.rate.headers(taken);
            headers.insert(RATELIMIT_POLICY, policy);
            headers.insert(RATELIMIT, state);
        }
        if draft.stale_cookie {
            outbound::forget_session(headers, draft.secure);
        }
        let hsts = plane.hsts.as_ref().filter(|_| draft.secure);
        outbound::sign(headers, draft.record.span.request_id(), hsts);
        // HTTP/2 has its own word for it.
        close |= self.shard.drain.is_cancelled();
        // The connection ends behind a body that nobody reads: the client must not ask again there.
        close |= draft.is_unread && status.is_client_error();
        if close && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        draft.record.status = Some(response.status());
        Outgoing::of(response, draft.record)
    }

    fn count(&self, refusal: &Refusal) {
        let metrics = &self.shard.metrics;
        match refusal.problem.status {
            StatusCode::UNAUTHORIZED => metrics.unauthenticated.fetch_add(1, Relaxed),
            StatusCode::REQUEST_TIMEOUT => metrics.timeouts.fetch_add(1, Relaxed),
            _ => 0,
        };
    }
}

fn failed(error: &CallError) -> Refusal {
    Problem::from(error).into()
}

fn no_content() -> Response {
    let mut response = http::Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// `ip:port` as a header value.
pub(crate) fn address_value(address: SocketAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_string()).expect("addresses are visible ASCII")
}
