//! The way of one outbound request: count, check, clean, then in-process or over the network.
//! Refuses to know wasm: the guest's side is in `host.rs`. Redirects are never followed; where
//! one leads is the guest's to decide, and is checked like any other request.

use crate::body::{Exchange, Patient, Progress, RequestBody, ResponseBody, ResponseBounds};
use crate::config::{Bounds, Config, FrontDoor};
use crate::connect::{Connector, OpenError};
use crate::connection::Connection;
use crate::destination::{COMPONENTS, Destination, Scheme, Target};
use crate::egress::Egress;
use crate::error::{self, OutboundError};
use crate::headers;
use crate::pool::{Key, Lease, Pool, Shard};
use crate::tls::Tls;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use nexus_observability::work::{Neighbour, Place};
use nexus_runtime::{Call, ComponentId, DEFAULT_TENANT, Principal, Problem, full};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument as _, Span};
use url::Host;
use uuid::Uuid;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// On whose behalf a request is sent.
#[derive(Clone)]
pub struct Origin {
    /// The component's grants and limits.
    pub egress: Arc<Egress>,
    /// The call being served; None when the host cannot tell, and then nobody's rights are used.
    pub call: Option<Arc<Call>>,
}

/// Sends requests for all components. Clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    front_door: FrontDoor,
    connector: Connector,
    pool: Pool,
}

/// How long this request may take, of what the guest asked and the host allows.
struct Patience {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Patience {
    fn new(options: Option<RequestOptions>, bounds: &Bounds) -> Self {
        let options = options.unwrap_or_default();
        let pick = |asked: Option<Duration>, usual, max| asked.unwrap_or(usual).min(max);
        Self {
            connect: pick(options.connect_timeout, bounds.connect, bounds.connect_max),
            first_byte: pick(options.first_byte_timeout, bounds.first_byte, bounds.first_byte_max),
            between_bytes: pick(
                options.between_bytes_timeout,
                bounds.between_bytes,
                bounds.between_bytes_max,
            ),
        }
    }
}

impl Client {
    /// Makes a client; opens nothing.
    ///
    /// # Errors
    /// [`OutboundError::CertificateAuthorities`] when `ca_file` cannot be used.
    pub fn new(config: &Config) -> Result<Self, OutboundError> {
        let bounds = config.bounds.clone();
        Ok(Self(Arc::new(Shared {
            front_door: config.front_door.clone(),
            connector: Connector {
                resolver: config.resolver.clone(),
                tls: Tls::new(config.ca_file.as_deref())?,
                bounds: bounds.clone(),
            },
            pool: Pool::new(bounds.clone()),
            bounds,
        })))
    }

    /// Sends one request and waits for the head of its response; both bodies stream.
    ///
    /// # Errors
    /// The `wasi:http` error codes, by their definitions in RFC 9209 §2.3. `HttpRequestDenied`:
    /// no line of `allowed_outbound_hosts` grants the place. `DestinationIpProhibited`: the
    /// address is not public and no line names it. `ConnectionLimitReached`: `outbound_max` is
    /// used up, or no slot became free within the connect timeout. A refusal is also logged, with
    /// the manifest line that would allow the request.
    pub async fn send(
        &self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        origin: &Origin,
    ) -> Result<Response<WasiBody>, Error> {
        let target = self.admit(&request, origin).map_err(|refusal| {
            origin.egress.report(&refusal);
            refusal.to_wasi()
        })?;
        self.check_head(&request)?;
        headers::clean_request(request.headers_mut());
        if let Some(call) = &origin.call {
            headers::add_trace(request.headers_mut(), call);
        }
        match target {
            Admitted::Component(component) => {
                let options = options.unwrap_or_default();
                let neighbour = Question { component, options, is_whole: false };
                neighbour.ask(request, origin).await
            }
            Admitted::Remote(destination) => {
                headers::strip_of_visitors(request.headers_mut());
                let outgoing = Outgoing { client: &self.0, destination, door: None, origin };
                outgoing.send(request, options).await
            }
            Admitted::FrontDoor(door) => {
                headers::strip_of_visitors(request.headers_mut());
                headers::strip_of_proxies(request.headers_mut());
                let destination = destination_of(door);
                let outgoing = Outgoing { client: &self.0, destination, door: Some(door), origin };
                outgoing.send(request, options).await
            }
        }
    }

    /// Asks a component with a request that is all there, and waits for all of its reply. Trailers
    /// are not waited for by anybody, and are left out.
    ///
    /// # Errors
    /// As [`Client::send`]; `HttpResponseBodySize` for a reply of more than `reply_bytes_max`, and
    /// why the reply did not come to its end.
    pub async fn ask(
        &self,
        component: &str,
        mut request: Request<Bytes>,
        origin: &Origin,
    ) -> Result<Response<Bytes>, Error> {
        let component =
            self.admit_component(component, &mut request, origin).map_err(|refusal| {
                origin.egress.report(&refusal);
                refusal.to_wasi()
            })?;
        self.check_head(&request)?;
        headers::clean_request(request.headers_mut());
        if let Some(call) = &origin.call {
            headers::add_trace(request.headers_mut(), call);
        }
        if !request.body().is_empty() {
            let length = request.body().len().into();
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let (head, body) = request.into_parts();
        let neighbour = Question { component, options: RequestOptions::default(), is_whole: true };
        let response = neighbour.ask(Request::from_parts(head, full(body)), origin).await?;
        gathered(response, self.0.bounds.reply_bytes_max).await
    }

    /// As [`Client::admit`], where a component is asked by its name; says where in the request.
    fn admit_component<B>(
        &self,
        name: &str,
        request: &mut Request<B>,
        origin: &Origin,
    ) -> Result<ComponentId, OutboundError> {
        let egress = &origin.egress;
        egress.count(origin.call.as_deref())?;
        let malformed = OutboundError::Unsendable("components have names of a DNS label");
        let component = ComponentId::new(name).map_err(|_not_a_component| malformed)?;
        let place = format!("{component}{COMPONENTS}");
        if !egress.grants.allows_component(&component) {
            return Err(egress.not_granted(format!("http://{place}")));
        }
        let target = request.uri().path_and_query().cloned();
        let uri = Uri::builder().scheme(http::uri::Scheme::HTTP).authority(place);
        let uri = uri.path_and_query(target.unwrap_or(PathAndQuery::from_static("/"))).build();
        *request.uri_mut() = uri.map_err(|_no_uri| OutboundError::Unsendable("it has no path"))?;
        Ok(component)
    }

    /// Decides whether the request may be sent at all, before anything is asked of the network.
    fn admit(
        &self,
        request: &Request<WasiBody>,
        origin: &Origin,
    ) -> Result<Admitted, OutboundError> {
        let egress = &origin.egress;
        egress.count(origin.call.as_deref())?;
        let refused = |place: String| Err(egress.not_granted(place));
        match Target::of(request.uri())? {
            Target::Remote(destination) if egress.grants.allows(&destination) => {
                Ok(Admitted::Remote(destination))
            }
            Target::Remote(destination) => refused(destination.to_string()),
            Target::Component(component) if egress.grants.allows_component(&component) => {
                Ok(Admitted::Component(component))
            }
            Target::Component(component) => refused(format!("http://{component}.spin.internal")),
            Target::Own if egress.grants.allows_own() => {
                let door = self.0.front_door.address().ok_or(OutboundError::NoFrontDoor)?;
                Ok(Admitted::FrontDoor(door))
            }
            Target::Own => refused("http://self".to_owned()),
        }
    }

    /// Refuses heads that servers would choke on, and methods that are no requests.
    fn check_head<B>(&self, request: &Request<B>) -> Result<(), Error> {
        let bounds = &self.0.bounds;
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        if path > bounds.uri_bytes_max {
            return Err(Error::HttpRequestUriTooLong);
        }
        let head = headers::bytes(request.headers());
        if head > bounds.request_head_bytes_max {
            return Err(Error::HttpRequestHeaderSectionSize(u32::try_from(head).ok()));
        }
        Ok(())
    }
}

/// A request's target, after the grants were asked.
enum Admitted {
    Remote(Destination),
    Component(ComponentId),
    FrontDoor(SocketAddr),
}

fn destination_of(door: SocketAddr) -> Destination {
    let host = match door {
        SocketAddr::V4(door) => Host::Ipv4(*door.ip()),
        SocketAddr::V6(door) => Host::Ipv6(*door.ip()),
    };
    Destination { scheme: Scheme::Http, host, port: door.port() }
}

/// What one component asks another.
struct Question {
    component: ComponentId,
    options: RequestOptions,
    /// All of the request is there.
    is_whole: bool,
}

impl Question {
    /// Calls the other component with the rights of the call being served.
    async fn ask(
        self,
        request: Request<WasiBody>,
        origin: &Origin,
    ) -> Result<Response<WasiBody>, Error> {
        let Self { component, options, is_whole } = self;
        let own = origin.egress.component().clone();
        let mut call = match &origin.call {
            Some(call) => call.onward(own.clone()),
            None => {
                let nobody = Arc::new(Principal::anonymous(DEFAULT_TENANT));
                Call::new(Uuid::now_v7().to_string(), nobody).onward(own.clone())
            }
        };
        call.body_is_whole = is_whole;
        let request_id = call.request_id.clone();
        let span = traced(&mut call, &component, &own, &request);
        let answer = (origin.egress.components)(component, request, call).instrument(span.clone());
        // The callee's own limits hold in any case; the caller may only be less patient.
        let answer = match options.first_byte_timeout {
            Some(limit) => {
                timeout(limit, answer).await.map_err(|_| Error::ConnectionReadTimeout)?
            }
            None => answer.await,
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => {
                let problem = Problem::from(&error);
                span.record("error.type", problem.name);
                problem.into_response(&request_id)
            }
        };
        span.record("http.response.status_code", response.status().as_u16());
        headers::strip_hop_by_hop(response.headers_mut());
        Ok(match options.between_bytes_timeout {
            Some(limit) => response.map(|body| Patient::new(body, limit).boxed_unsync()),
            None => response,
        })
    }
}

/// All of a response in memory.
async fn gathered(
    response: Response<WasiBody>,
    bytes_max: usize,
) -> Result<Response<Bytes>, Error> {
    let (head, mut body) = response.into_parts();
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame?.into_data() else { break };
        bytes += data.len();
        if bytes > bytes_max {
            return Err(Error::HttpResponseBodySize(Some(bytes as u64)));
        }
        pieces.push(data);
    }
    let whole = match pieces.len() {
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    };
    Ok(Response::from_parts(head, whole))
}

/// Makes the call a span of its own in the caller's trace.
fn traced<B>(
    call: &mut Call,
    component: &ComponentId,
    caller: &ComponentId,
    request: &Request<B>,
) -> Span {
    let trace = call.trace.traceparent.as_ref().and_then(|value| value.to_str().ok());
    let Some(place) = Place::below(trace) else { return Span::none() };
    call.trace.traceparent = HeaderValue::from_str(&place.own.to_string()).ok();
    let neighbour = Neighbour {
        component: component.as_str(),
        caller: caller.as_str(),
        request_id: &call.request_id,
        method: request.method().as_str(),
        path: request.uri().path(),
    };
    neighbour.span(&place)
}

/// One request over the network.
struct Outgoing<'a> {
    client: &'a Shared,
    destination: Destination,
    /// Our own front door, an address that needs no grant.
    door: Option<SocketAddr>,
    origin: &'a Origin,
}

impl Outgoing<'_> {
    async fn send(
        &self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        let patience = Patience::new(options, &self.client.bounds);
        let connected_by = Instant::now() + patience.connect;
        let key = Key { egress: self.origin.egress.id, destination: self.destination.clone() };
        let shard = self.client.pool.here();
        let exchange = Arc::new(self.begin(&shard, &key, connected_by).await?);
        let progress = Progress::begin();
        let idle_max = self.client.bounds.between_bytes_max;
        let (head, body) = request.into_parts();
        let (moving, slots) = (progress.clone(), exchange.clone());
        let body = RequestBody::settle(&head.method, body, idle_max, moving, slots).await?;
        let mut request = Request::from_parts(head, body);
        let mut second = false;
        loop {
            let pooled = if second { None } else { shard.take(&key) };
            let reused = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => self.open(&shard, &key, connected_by, second).await?,
            };
            let again = if reused { repeatable(&request) } else { None };
            progress.moved();
            let sent = connection.send(request, &self.destination);
            match first_byte(sent, &progress, patience.first_byte).await? {
                Ok(response) => {
                    let shard = Arc::downgrade(&shard);
                    let lease = Lease { shard, key, connection };
                    return self.receive(response, &patience, lease, exchange);
                }
                Err(mut error) => {
                    // The server closed the connection while it waited in the pool.
                    let unsent = if reused { error.take_message().or(again) } else { None };
                    request = unsent.ok_or_else(|| error::of_hyper(error.into_error()))?;
                    shard.forget(&key);
                    second = true;
                }
            }
        }
    }

    /// Takes the slots of one exchange; waiting counts as connecting.
    async fn begin(&self, shard: &Arc<Shard>, key: &Key, by: Instant) -> Result<Exchange, Error> {
        let component = self.origin.egress.begin().map_err(|e| self.refuse(&e))?;
        let (host, on_shard) = timeout_at(by, shard.begin(key))
            .await
            .map_err(|_none_became_free| Error::ConnectionLimitReached)?;
        Ok(Exchange { _component: component, _host: host, _shard: on_shard })
    }

    fn refuse(&self, refusal: &OutboundError) -> Error {
        self.origin.egress.report(refusal);
        refusal.to_wasi()
    }

    /// Opens a connection, or shares the one that another request has just opened.
    async fn open(
        &self,
        shard: &Shard,
        key: &Key,
        by: Instant,
        anew: bool,
    ) -> Result<Connection, Error> {
        let late = |_late| Error::ConnectionTimeout;
        let opening = shard.opening(key);
        let _only_one = match &opening {
            Some(opening) => Some(timeout_at(by, opening.lock()).await.map_err(late)?),
            None => None,
        };
        if opening.is_some()
            && !anew
            && let Some(connection) = shard.take(key)
        {
            return Ok(connection);
        }
        let connector = &self.client.connector;
        let egress = &self.origin.egress;
        let addresses = match self.door {
            Some(door) => vec![door],
            None => timeout_at(by, connector.addresses(&self.destination, egress))
                .await
                .map_err(|_late| Error::DnsTimeout)?
                .map_err(|e| self.fail(e))?,
        };
        let connection = timeout_at(by, connector.open(&self.destination, &addresses))
            .await
            .map_err(late)?
            .map_err(|e| self.fail(e))?;
        shard.share(key, &connection);
        Ok(connection)
    }

    fn fail(&self, error: OpenError) -> Error {
        match error {
            OpenError::Refused(refusal) => self.refuse(&refusal),
            OpenError::Failed(error) => error,
        }
    }

    /// Checks the head of a response and puts its body under watch.
    fn receive(
        &self,
        response: Response<Incoming>,
        patience: &Patience,
        lease: Lease,
        exchange: Arc<Exchange>,
    ) -> Result<Response<WasiBody>, Error> {
        let bounds = &self.client.bounds;
        let (mut head, incoming) = response.into_parts();
        let bytes = headers::bytes(&head.headers);
        if bytes > bounds.response_head_bytes_max {
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok()));
        }
        let announced = http_body::Body::size_hint(&incoming).exact().or_else(|| {
            head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
        });
        let has_body = !http_body::Body::is_end_stream(&incoming);
        if has_body && announced.is_some_and(|bytes| bytes > bounds.response_body_bytes_max) {
            return Err(Error::HttpResponseBodySize(announced));
        }
        headers::strip_hop_by_hop(&mut head.headers);
        let bounds = ResponseBounds {
            between_bytes: patience.between_bytes,
            bytes_max: bounds.response_body_bytes_max,
            trailer_bytes_max: bounds.response_head_bytes_max,
        };
        let body = ResponseBody::new(incoming, &bounds, lease, exchange);
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }
}

/// The request once more, if sending it twice is as good as once (RFC 9110 §9.2.2) and it has no
/// body that is gone by then.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() {
        return None;
    }
    let mut again = Request::new(request.body().again_empty()?);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// Waits for a response, counting from when the request last moved: a long upload is not a slow
/// answer.
async fn first_byte<F: Future>(
    response: F,
    progress: &Progress,
    limit: Duration,
) -> Result<F::Output, Error> {
    let mut response = pin!(response);
    loop {
        let until = progress.last() + limit;
        if let Ok(response) = timeout_at(until, response.as_mut()).await {
            return Ok(response);
        }
        if progress.last() + limit <= Instant::now() {
            return Err(Error::ConnectionReadTimeout);
        }
    }
}
