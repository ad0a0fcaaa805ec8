//! The backends, each started fresh in a temporary folder, and short words for what cases do.

use bytes::Bytes;
use capability_blob::*;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Enough for every case but the one that goes beyond it.
pub(crate) const OBJECT_BYTES_MAX: u64 = 256 << 20;

pub(crate) enum Kind {
    Folder,
    S3(S3),
}

/// A running backend; gone with its folder when dropped.
pub(crate) struct Backend {
    store: Arc<dyn Store>,
    pub(crate) kind: Kind,
    root: TempDir,
}

impl Deref for Backend {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Backend {
    pub(crate) async fn folder() -> Self {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public = format!("http://{}", listener.local_addr().unwrap());
        let folder = Folder::open(FolderSettings {
            root: root.path().join("blobs"),
            signer: Signer::new(b"a secret of this test", &public.parse().unwrap()),
            object_bytes_max: OBJECT_BYTES_MAX,
        })
        .unwrap();
        let door = Door::new(folder.clone());
        serve(listener, move |request| {
            let door = door.clone();
            async move { Ok::<_, BlobError>(door.serve(request).await) }
        });
        folder.ready().await.unwrap();
        Self { store: Arc::new(folder), kind: Kind::Folder, root }
    }

    pub(crate) async fn s3() -> Self {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut service =
            s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(s3s::auth::SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        serve(listener, move |request| hyper::service::Service::call(&service, request));
        let credentials = S3Credentials {
            access_key_id: "key".into(),
            secret_access_key: "secret".into(),
            session_token: None,
        };
        let mut settings = S3Settings::new("nexus", "us-east-1", credentials);
        settings.endpoint = Some(endpoint);
        settings.object_bytes_max = OBJECT_BYTES_MAX;
        settings.part_bytes = 6 << 20;
        settings.buffer_bytes_max = 32 << 20;
        settings.copy_bytes_max = 12 << 20;
        let s3 = S3::new(settings).unwrap();
        s3.ready().await.unwrap();
        Self { store: Arc::new(s3.clone()), kind: Kind::S3(s3), root }
    }

    /// Where `s3s-fs` differs from S3, a case asserts both.
    pub(crate) fn is_s3s_fs(&self) -> bool {
        matches!(self.kind, Kind::S3(_))
    }

    /// The one file that holds these bytes.
    pub(crate) fn file_with(&self, bytes: &[u8]) -> PathBuf {
        let mut found = Vec::new();
        search(self.root.path(), &mut |path| {
            let held = std::fs::read(path).unwrap();
            if held.windows(bytes.len()).any(|window| window == bytes) {
                found.push(path.to_owned());
            }
        });
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Files that are neither objects nor of uploads.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        search(self.root.path(), &mut |path| {
            let text = path.to_string_lossy();
            if text.contains("/temporary/") || text.contains(".upload") || text.contains(".tmp.") {
                left.push(path.to_owned());
            }
        });
        left
    }

    pub(crate) async fn put_text(&self, key: &str, text: &str) -> Stored {
        self.put(&at(key), Put::default(), whole(text)).await.unwrap()
    }

    pub(crate) async fn read(&self, key: &str) -> Result<Vec<u8>, BlobError> {
        self.read_with(key, Get::default()).await
    }

    pub(crate) async fn read_with(&self, key: &str, get: Get) -> Result<Vec<u8>, BlobError> {
        collect(self.get(&at(key), get).await?.body).await
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let page = self.list(&bucket("media"), query("")).await.unwrap();
        assert_eq!(page.next, None);
        page.entries.into_iter().map(|entry| entry.key).collect()
    }
}

fn search(folder: &Path, found: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { search(&path, found) } else { found(&path) }
    }
}

/// Serves HTTP/1.1 until the test ends.
fn serve<S, F, B, E>(listener: TcpListener, service: S)
where
    S: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<http::Response<B>, E>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A client may break off; that is what some cases are about.
                _ = server.serve_connection(TokioIo::new(connection), service).await;
            });
        }
    });
}

/// A response, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One request as any client would make it.
pub(crate) async fn fetch(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// Sends bytes as they are and returns the status line's number.
pub(crate) async fn send_raw(address: SocketAddr, text: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

/// A place in the bucket `media`.
pub(crate) fn at(key: &str) -> Place {
    Place { bucket: bucket("media"), key: Key::new(key).unwrap() }
}

pub(crate) fn query(prefix: &str) -> Query {
    Query { prefix: prefix.into(), delimiter: None, cursor: None, limit: 1000 }
}

/// A body in one chunk.
pub(crate) fn whole(bytes: impl AsRef<[u8]>) -> Body {
    let bytes = Bytes::copy_from_slice(bytes.as_ref());
    stream::iter([Ok(bytes)]).boxed()
}

/// A body in chunks of `size` bytes.
pub(crate) fn chunked(bytes: &Bytes, size: usize) -> Body {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(size);
    let chunks = starts.map(move |start| bytes.slice(start..bytes.len().min(start + size)));
    stream::iter(chunks.map(Ok)).boxed()
}

/// A body that fails after some bytes.
pub(crate) fn broken(bytes: &Bytes) -> Body {
    chunked(bytes, 65_536).chain(stream::iter([Err(BlobError::Incomplete)])).boxed()
}

pub(crate) async fn collect(body: Body) -> Result<Vec<u8>, BlobError> {
    let chunks: Vec<Bytes> = body.try_collect().await?;
    Ok(chunks.concat())
}

/// Bytes without a period that a shift could hide.
pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut bytes: Vec<u8> = words.take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes.into()
}

pub(crate) fn checksums(bytes: &[u8]) -> Checksums {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

pub(crate) fn attributes(content_type: &str, metadata: &[(&str, &str)]) -> Attributes {
    let metadata = metadata.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Attributes { content_type: Some(content_type.into()), metadata: metadata.collect() }
}
