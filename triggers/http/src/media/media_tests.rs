//! The origin as a viewer meets it: what a token opens, what is sent, what is kept.

use super::*;
use crate::identities::Identities;
use futures::stream;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const KEY: [u8; KEY_BYTES] = [9; KEY_BYTES];
const PACKAGE: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002);

/// A store in memory that counts its reads.
#[derive(Default)]
struct Memory {
    objects: HashMap<String, Vec<u8>>,
    reads: AtomicUsize,
}

#[async_trait]
impl Packages for Memory {
    async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Opened>, PackagesAway> {
        self.reads.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        Ok(self.objects.get(key).map(|bytes| {
            let range = range.unwrap_or(0..bytes.len() as u64);
            let part = bytes[range.start as usize..range.end as usize].to_vec();
            let body = stream::iter([Ok(bytes::Bytes::from(part))]).boxed();
            Opened { size: bytes.len() as u64, etag: "e1".into(), body }
        }))
    }
}

struct Stand {
    origin: MediaOrigin,
    memory: Arc<Memory>,
    identities: Identities,
}

impl Stand {
    fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let key = |name: &str| format!("packages/{PACKAGE}/{name}");
        let objects = files.iter().map(|(name, bytes)| (key(name), bytes.clone())).collect();
        let memory = Arc::new(Memory { objects, ..Memory::default() });
        let origin = MediaOrigin::new(KEY, 64 << 20);
        origin.read_from(memory.clone());
        let identities = Identities::new("http://localhost", Uuid::nil(), Arc::new(|| 1000));
        Self { origin, memory, identities }
    }

    async fn ask(&self, method: Method, target: &str, fields: &[(&str, &str)]) -> (u16, Response) {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let answer = self.origin.answer(&parts, &self.identities).await;
        let response = answer.unwrap_or_else(|refusal| refusal.into_response("r"));
        (response.status().as_u16(), response)
    }

    async fn get(&self, file: &str, token: &str, fields: &[(&str, &str)]) -> (u16, Response) {
        self.ask(Method::GET, &format!("/media/{PACKAGE}/{file}?t={token}"), fields).await
    }
}

fn playback() -> Playback {
    let (tenant, session) = (Uuid::from_u128(1), Uuid::from_u128(3));
    Playback { tenant, package: PACKAGE, session, height_max: 720, expires: 2000 }
}

async fn bytes(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn a_segment_is_sent_whole_in_part_or_not_again() {
    let stand = Stand::with(&[("v720/0.m4s", (0..=255).collect())]);
    let token = playback().token(&KEY);
    let (status, whole) = stand.get("v720/0.m4s", &token, &[]).await;
    assert_eq!(status, 200);
    let field = |response: &Response, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(field(&whole, "content-type").as_deref(), Some("video/mp4"));
    assert_eq!(field(&whole, "accept-ranges").as_deref(), Some("bytes"));
    assert_eq!(field(&whole, "content-length").as_deref(), Some("256"));
    assert!(field(&whole, "cache-control").unwrap().contains("immutable"));
    let etag = field(&whole, "etag").unwrap();
    assert_eq!(bytes(whole).await, (0..=255).collect::<Vec<u8>>());
    let (status, part) = stand.get("v720/0.m4s", &token, &[("range", "bytes=10-12")]).await;
    assert_eq!((status, field(&part, "content-range").as_deref()), (206, Some("bytes 10-12/256")));
    assert_eq!(bytes(part).await, [10, 11, 12]);
    let (status, _) = stand.get("v720/0.m4s", &token, &[("if-none-match", &etag)]).await;
    assert_eq!(status, 304);
    let (status, beyond) = stand.get("v720/0.m4s", &token, &[("range", "bytes=256-")]).await;
    assert_eq!((status, field(&beyond, "content-range").as_deref()), (416, Some("bytes */256")));
    let target = format!("/media/{PACKAGE}/v720/0.m4s?t={token}");
    assert_eq!(stand.ask(Method::PUT, &target, &[]).await.0, 405);
}

#[tokio::test]
async fn only_a_current_token_for_the_package_and_the_height_opens_anything() {
    let files = ["v720/0.m4s", "v1080/0.m4s", "f1080/0.m4s"].map(|file| (file, vec![1]));
    let stand = Stand::with(&files);
    let good = playback().token(&KEY);
    assert_eq!(stand.get("v720/0.m4s", &good, &[]).await.0, 200);
    let foreign = Playback { package: Uuid::from_u128(9), ..playback() }.token(&KEY);
    let expired = Playback { expires: 1000, ..playback() }.token(&KEY);
    let forged = playback().token(&[1; KEY_BYTES]);
    for token in ["", "x", &foreign, &expired, &forged] {
        assert_eq!(stand.get("v720/0.m4s", token, &[]).await.0, 403, "{token}");
    }
    assert_eq!(stand.get("v1080/0.m4s", &good, &[]).await.0, 403);
    assert_eq!(stand.get("f1080/0.m4s", &good, &[]).await.0, 403);
    let tall = Playback { height_max: 1080, ..playback() }.token(&KEY);
    assert_eq!(stand.get("v1080/0.m4s", &tall, &[]).await.0, 200);
    assert_eq!(stand.get("f1080/0.m4s", &tall, &[]).await.0, 200);
    let target = format!("/media/{PACKAGE}/v720/0.m4s");
    assert_eq!(stand.ask(Method::GET, &target, &[]).await.0, 403);
}

#[tokio::test]
async fn nothing_but_the_files_of_a_package_can_be_named() {
    let stand = Stand::with(&[("v720/index.json", vec![1]), ("v720/init.mp4", vec![2])]);
    let token = playback().token(&KEY);
    assert_eq!(stand.get("v720/init.mp4", &token, &[]).await.0, 200);
    for file in [
        "v720/index.json",
        "v720/../x.m4s",
        "v720/%2e.m4s",
        "v720/a/0.m4s",
        "v720/.m4s",
        "v720/0",
        "v0720/0.m4s",
        "v/0.m4s",
        "vx/0.m4s",
        "images/x.svg",
        "uploads/x.mp4",
        "text/en.html",
    ] {
        assert_eq!(stand.get(file, &token, &[]).await.0, 404, "{file}");
    }
    let upper = PACKAGE.to_string().to_uppercase();
    let target = format!("/media/{upper}/v720/init.mp4?t={token}");
    assert_eq!(stand.ask(Method::GET, &target, &[]).await.0, 404);
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_read_and_what_is_missing_is_not_remembered() {
    let stand = Stand::with(&[("a0/1.m4s", vec![5; 1000])]);
    let token = playback().token(&KEY);
    let asked = (0..50).map(|_| stand.get("a0/1.m4s", &token, &[]));
    for (status, _) in futures::future::join_all(asked).await {
        assert_eq!(status, 200);
    }
    assert_eq!(stand.memory.reads.load(SeqCst), 1);
    for reads in 2..4 {
        assert_eq!(stand.get("a0/2.m4s", &token, &[]).await.0, 404);
        assert_eq!(stand.memory.reads.load(SeqCst), reads);
    }
}

#[tokio::test]
async fn an_object_too_large_to_be_kept_is_read_in_the_parts_that_are_asked_for() {
    let size = 9 << 20;
    let stand = Stand::with(&[("v720/0.m4s", vec![3; size])]);
    let token = playback().token(&KEY);
    let (status, part) = stand.get("v720/0.m4s", &token, &[("range", "bytes=-5")]).await;
    assert_eq!((status, bytes(part).await), (206, vec![3; 5]));
    let (status, whole) = stand.get("v720/0.m4s", &token, &[]).await;
    assert_eq!((status, bytes(whole).await.len()), (200, size));
}
