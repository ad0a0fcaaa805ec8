//! What the tests stand on: hyper servers that count their connections, TLS with certificates made
//! on the spot, resolvers that say what a test wants, and a component with the grants it needs.

use bytes::Bytes;
use capability_outbound_http::{
    Bounds, Client, ComponentCall, Components, Config, Egress, Origin, Resolve,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use nexus_runtime::{Call, CallError, DEFAULT_TENANT, Manifest, Principal, full};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port of 127.0.0.1, gone when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves HTTP/1.1 (and HTTP/2 with prior knowledge) in cleartext.
    pub(crate) async fn start<F, R>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<WasiBody>> + Send + 'static,
    {
        Self::raw(move |stream, counted| {
            let answer = answer.clone();
            async move { serve(stream, answer, counted).await }
        })
        .await
    }

    /// Serves TLS with what `acceptor` offers.
    pub(crate) async fn start_tls<F, R>(acceptor: TlsAcceptor, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<WasiBody>> + Send + 'static,
    {
        Self::raw(move |stream, counted| {
            let (answer, acceptor) = (answer.clone(), acceptor.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, answer, counted).await;
                }
            }
        })
        .await
    }

    /// Hands every connection to `take`.
    pub(crate) async fn raw<F, R>(take: F) -> Self
    where
        F: Fn(TcpStream, Counted) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.accepted.fetch_add(1, Ordering::SeqCst);
                counted.open.fetch_add(1, Ordering::SeqCst);
                let open = Open(counted.clone());
                let served = take(stream, Counted(counted.clone()));
                tokio::spawn(async move {
                    served.await;
                    drop(open);
                });
            }
        });
        Self { address, counts, task }
    }

    /// Connections taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Requests seen so far.
    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Counts a connection as open, until it ends or its task panics.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection's share in its server's counts.
pub(crate) struct Counted(Arc<Counts>);

impl Counted {
    pub(crate) fn request(&self) {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
    }
}

async fn serve<S, F, R>(stream: S, answer: F, counted: Counted)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response<WasiBody>> + Send + 'static,
{
    let service = service_fn(|request| {
        counted.request();
        let answered = answer(request);
        async move { Ok::<_, io::Error>(answered.await.map(watched)) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // How a connection ends is what the tests look at from the other side.
    let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Server bodies fail with something hyper takes.
fn watched(body: WasiBody) -> http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error> {
    body.map_err(|e| io::Error::other(e.to_string())).boxed_unsync()
}

/// "hello", for tests that are not about the answer.
pub(crate) async fn hello(_request: Request<Incoming>) -> Response<WasiBody> {
    Response::new(full("hello"))
}

/// The request's body comes back as it comes in.
pub(crate) async fn echo(request: Request<Incoming>) -> Response<WasiBody> {
    Response::new(request.into_body().map_err(Error::from).boxed_unsync())
}

/// What the server saw: the request line and its fields, one per line.
pub(crate) async fn mirror(request: Request<Incoming>) -> Response<WasiBody> {
    let mut seen = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        seen += &format!("{name}: {}\n", value.to_str().expect("tests send ASCII"));
    }
    let body = request.into_body().collect().await.expect("the client sends its body");
    seen += &format!("body {} bytes\n", body.to_bytes().len());
    Response::new(full(seen))
}

/// Certificates of an authority made for one test.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("ring makes keys");
        let pem = params.self_signed(&key).expect("the parameters are complete").pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// A server certificate for `name`, offered with these protocols.
    pub(crate) fn acceptor(&self, name: &str, alpn: &[&str]) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().expect("ring makes keys");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a sound name");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .expect("key and certificate match");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn write(&self, folder: &Path) -> std::path::PathBuf {
        let path = folder.join("ca.pem");
        std::fs::write(&path, &self.pem).expect("the folder is writable");
        path
    }
}

/// Answers from a list, one entry per question; the last one again and again.
pub(crate) struct Script {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Script {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().expect(ip)).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Script {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// Names resolve to loopback.
pub(crate) fn loopback() -> Arc<Script> {
    Script::new(&[&["127.0.0.1"]])
}

pub(crate) fn client(config: Config) -> Client {
    Client::new(&config).expect("the test's configuration is sound")
}

pub(crate) fn bounded(bounds: Bounds) -> Client {
    client(Config { bounds, ..Config::default() })
}

/// The component `shop`, with these lines granted and nobody to call in-process.
pub(crate) fn origin(lines: &[&str]) -> Origin {
    origin_with(lines, "", nobody())
}

pub(crate) fn nobody() -> Arc<Components> {
    Arc::new(|component, _request, _call| -> ComponentCall {
        Box::pin(async move { Err(CallError::NoSuchComponent(component)) })
    })
}

pub(crate) fn origin_with(lines: &[&str], limits: &str, components: Arc<Components>) -> Origin {
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"test\"\n\
         [component.shop]\nsource = \"shop.wasm\"\nallowed_outbound_hosts = {lines:?}\n\
         [component.shop.tool.nexus]\n{limits}\n"
    );
    let manifest = Manifest::parse(&text, Path::new("spin.toml")).expect("the manifest is sound");
    let egress = Egress::new(manifest.components[0].clone(), &|_| None, 256, components);
    let egress = Arc::new(egress.expect("the test's lines are sound"));
    Origin { egress, call: None }
}

/// A call by a user, with this request id.
pub(crate) fn call(request_id: &str) -> Call {
    let mut principal = Principal::anonymous(DEFAULT_TENANT);
    principal.subject = "u-1".to_owned();
    Call::new(request_id, Arc::new(principal))
}

pub(crate) fn get(uri: &str) -> Request<WasiBody> {
    Request::get(uri).body(full(Bytes::new())).expect("the test's URI is sound")
}

pub(crate) fn post(uri: &str, body: WasiBody) -> Request<WasiBody> {
    Request::post(uri).body(body).expect("the test's URI is sound")
}

pub(crate) fn options(
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    between_bytes_ms: Option<u64>,
) -> Option<RequestOptions> {
    Some(RequestOptions {
        connect_timeout: connect_ms.map(Duration::from_millis),
        first_byte_timeout: first_byte_ms.map(Duration::from_millis),
        between_bytes_timeout: between_bytes_ms.map(Duration::from_millis),
    })
}

/// The whole body as text.
pub(crate) async fn text(response: Response<WasiBody>) -> String {
    let bytes = response.into_body().collect().await.expect("the body arrives").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("the body is text")
}

/// The error of a request that must not get a response.
pub(crate) fn refusal(sent: Result<Response<WasiBody>, Error>) -> String {
    match sent {
        Ok(response) => panic!("the request got a response: {}", response.status()),
        Err(error) => format!("{error:?}"),
    }
}

/// Polls a condition until it holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
