//! Registries that lie: a server of the test's own, which answers as it is told.

use crate::catalog;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nexus_artifact::{Artifact, Credentials, Error, Reference, Registry, RegistryConfig};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpListener;

type Answer = Response<Full<Bytes>>;

/// Serves until the test ends; gives its `host:port`.
async fn serve(answer: impl Fn(&Request<Incoming>) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    host
}

fn status(code: u16) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

fn ok(bytes: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(bytes.into()))
}

/// What an honest registry would answer for this artifact under any tag.
fn honest(artifact: &Artifact, path: &str) -> Answer {
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.contains("/manifests/sha256-") || path.contains("/referrers/") {
        return status(404);
    }
    if path.contains("/manifests/") {
        return ok(artifact.manifest().clone());
    }
    let blob = artifact.blobs().find(|(digest, _)| digest.to_string() == name);
    blob.map_or_else(|| status(404), |(_, bytes)| ok(bytes.clone()))
}

fn registry() -> Registry {
    Registry::new(RegistryConfig::default())
}

fn place(host: &str) -> Reference {
    format!("{host}/catalog:1").parse().unwrap()
}

#[tokio::test]
async fn bytes_that_are_not_what_was_named_are_refused() {
    let artifact = catalog("one");
    let (served, wasm) = (artifact.clone(), artifact.wasm_digest().to_string());
    let host = serve(move |request| {
        if request.uri().path().ends_with(&wasm) {
            // As long as the right one.
            let mut bytes = served.wasm().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            return ok(bytes);
        }
        honest(&served, request.uri().path())
    });
    let error = registry().pull(&place(&host.await)).await.unwrap_err();
    assert!(matches!(error, Error::Tampered { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_cannot_change_the_manifest_between_two_questions() {
    let (one, two) = (catalog("one"), catalog("two"));
    let asked = AtomicU32::new(0);
    let host = serve(move |request| {
        let path = request.uri().path();
        let first = path.contains("/manifests/") && asked.fetch_add(1, Ordering::SeqCst) == 0;
        honest(if first { &one } else { &two }, path)
    });
    let error = registry().pull(&place(&host.await)).await.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_costs_no_more_than_its_bound() {
    let artifact = catalog("one");
    let host = serve(move |request| {
        let path = request.uri().path();
        if path.contains("/blobs/") { ok(vec![0; 10 << 20]) } else { honest(&artifact, path) }
    });
    let error = registry().pull(&place(&host.await)).await.unwrap_err().to_string();
    assert!(error.contains("it sends more than"), "{error}");
    let endless = serve(|_| ok(vec![b' '; 5 << 20])).await;
    let error = registry().pull(&place(&endless)).await.unwrap_err().to_string();
    assert!(error.contains("more than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn a_registry_that_stumbles_is_asked_again() {
    let artifact = catalog("one");
    let served = artifact.clone();
    let asked = AtomicU32::new(0);
    let host = serve(move |request| match asked.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => status(503),
        _ => honest(&served, request.uri().path()),
    });
    let pulled = registry().pull(&place(&host.await)).await.unwrap();
    assert_eq!(pulled.digest(), artifact.digest());
}

#[tokio::test]
async fn a_login_is_not_carried_to_where_a_blob_is_kept() {
    let artifact = catalog("one");
    let carried = Arc::new(AtomicU32::new(0));
    let (kept, seen) = (artifact.clone(), carried.clone());
    let store = serve(move |request| {
        seen.fetch_add(request.headers().contains_key("authorization").into(), Ordering::SeqCst);
        honest(&kept, request.uri().path())
    });
    let (store, served) = (store.await, artifact.clone());
    let host = serve(move |request| {
        if !request.headers().contains_key("authorization") {
            let mut answer = status(401);
            let basic = "Basic realm=\"tests\"".parse().unwrap();
            answer.headers_mut().insert("www-authenticate", basic);
            return answer;
        }
        let path = request.uri().path();
        if !path.contains("/blobs/") {
            return honest(&served, path);
        }
        let mut answer = status(307);
        let elsewhere = format!("http://{store}{path}").parse().unwrap();
        answer.headers_mut().insert("location", elsewhere);
        answer
    });
    let host = host.await;
    let credentials = Credentials::login(&host, "ann", "opensesame");
    let registry = Registry::new(RegistryConfig { credentials, insecure: false });
    assert_eq!(registry.pull(&place(&host)).await.unwrap().digest(), artifact.digest());
    assert_eq!(carried.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_token_of_the_registrys_service_opens_it() {
    let artifact = catalog("one");
    let service = serve(|request| {
        let query = request.uri().query().unwrap_or_default();
        let login = request.headers().get("authorization");
        // `ann:opensesame`.
        let right = login.is_some_and(|it| it == "Basic YW5uOm9wZW5zZXNhbWU=");
        match right && query.contains("scope=repository%3Acatalog%3Apull") {
            true => ok(r#"{"token": "t-1", "expires_in": 60}"#),
            false => status(403),
        }
    });
    let (service, served) = (service.await, artifact.clone());
    let host = serve(move |request| {
        if request.headers().get("authorization").is_some_and(|it| it == "Bearer t-1") {
            return honest(&served, request.uri().path());
        }
        let mut answer = status(401);
        let bearer = format!(
            "Bearer realm=\"http://{service}/token\",service=\"s\",\
             scope=\"repository:catalog:pull\""
        );
        answer.headers_mut().insert("www-authenticate", bearer.parse().unwrap());
        answer
    });
    let host = host.await;
    let credentials = Credentials::login(&host, "ann", "opensesame");
    let ann = Registry::new(RegistryConfig { credentials, insecure: false });
    assert_eq!(ann.pull(&place(&host)).await.unwrap().digest(), artifact.digest());
    let nobody = registry().pull(&place(&host)).await.unwrap_err().to_string();
    assert!(nobody.contains("token service: it answers 403"), "{nobody}");
}

#[tokio::test]
async fn redirects_that_never_end_are_left() {
    let host = serve(|request| {
        let mut answer = status(302);
        let same = request.uri().path().parse().unwrap();
        answer.headers_mut().insert("location", same);
        answer
    });
    let error = registry().pull(&place(&host.await)).await.unwrap_err().to_string();
    assert!(error.contains("redirects in circles"), "{error}");
}
