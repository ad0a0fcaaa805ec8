//! Credentials over the wire: who the component believes is asking.

use crate::clients::{ask, get};
use crate::host::Host;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use nexus_runtime::DEFAULT_TENANT;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trigger_http::{HttpConfig, LocalKeys, Proven, RateClass, Unproven, Verifier};
use uuid::Uuid;

const ISSUER: &str = "https://nexus.example";

/// A real key pair, and a verifier that counts how often it is asked.
struct Signer {
    encoding: EncodingKey,
    counted: Arc<Counted>,
}

struct Counted {
    keys: LocalKeys,
    asked: AtomicUsize,
    epoch: AtomicU64,
}

impl Verifier for Counted {
    fn verify(&self, token: &str, now: i64) -> Result<Proven, Unproven> {
        self.asked.fetch_add(1, SeqCst);
        self.keys.verify(token, now)
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }
}

impl Signer {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes();
        let (x, y) =
            (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let set = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": x, "y": y }] });
        let keys = LocalKeys::from_jwks(&set.to_string(), ISSUER, DEFAULT_TENANT).unwrap();
        let counted = Counted { keys, asked: AtomicUsize::new(0), epoch: AtomicU64::new(0) };
        let encoding = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { encoding, counted: Arc::new(counted) }
    }

    /// A token that expires `seconds` from now.
    fn token(&self, seconds: i64, more: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let mut claims =
            json!({ "sub": "u-1", "iss": ISSUER, "aud": "nexus", "exp": now + seconds });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        encode(&Header::new(Algorithm::ES256), &claims, &self.encoding).unwrap()
    }

    fn host(&self, more: impl FnOnce(&mut HttpConfig)) -> Host {
        Host::with(|config| {
            config.verifier = Some(self.counted.clone());
            more(config);
        })
    }
}

fn bearer(token: &str) -> http::request::Builder {
    get("/echo/x").header("authorization", format!("Bearer {token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_anonymous_in_the_tenant_of_the_host_name() {
    let brand = Uuid::from_u128(5);
    let host = Host::with(|config| {
        config.tenants.insert("brand.example".into(), brand);
    });
    let seen = ask(host.address(), get("/echo/x")).await.json();
    assert_eq!(seen["principal"]["kind"], "anonymous");
    assert_eq!(seen["principal"]["tenant"], json!(DEFAULT_TENANT));
    let request = http::Request::get("/echo/x").header("host", "Brand.example:8080");
    let seen = ask(host.address(), request).await.json();
    assert_eq!(seen["principal"]["tenant"], json!(brand));
    let header = URL_SAFE_NO_PAD.decode(seen["principal_header"].as_str().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, seen["principal"], "the header says the same");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_token_names_its_subject_and_is_verified_once_per_shard() {
    let signer = Signer::new();
    let host = signer.host(|_| {});
    let token = signer.token(60, &json!({ "permissions": ["catalog:view"], "org": "o-1" }));
    for _ in 0..20 {
        let seen = ask(host.address(), bearer(&token)).await.json();
        assert_eq!(seen["principal"]["subject"], "u-1");
        assert_eq!(seen["principal"]["permissions"], json!(["catalog:view"]));
        assert_eq!(seen["principal"]["organisation"], "o-1");
    }
    assert!(signer.counted.asked.load(SeqCst) <= 2, "two shards");
    let before = signer.counted.asked.load(SeqCst);
    signer.counted.epoch.fetch_add(1, SeqCst);
    ask(host.address(), bearer(&token)).await;
    assert_eq!(signer.counted.asked.load(SeqCst), before + 1, "a new epoch asks again");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_proves_nothing_is_401_and_not_anonymous() {
    let signer = Signer::new();
    let host = signer.host(|_| {});
    let stranger = Signer::new();
    for (token, word) in [
        (signer.token(-60, &json!({})), "expired"),
        (signer.token(60, &json!({ "aud": "other" })), "somebody else"),
        (stranger.token(60, &json!({})), "signature"),
        ("nonsense".to_owned(), "malformed"),
    ] {
        let answer = ask(host.address(), bearer(&token)).await;
        answer.is_problem(401, "invalid-token");
        let challenge = answer.field("www-authenticate");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains(word), "{challenge}");
    }
    assert_eq!(host.snapshot().unauthenticated, 4);
    let health = get("/health").header("authorization", "Bearer nonsense");
    assert_eq!(ask(host.address(), health).await.status, 200, "liveness needs no proof");
    host.stop().await;

    let keyless = Host::start();
    let answer = ask(keyless.address(), bearer(&signer.token(60, &json!({})))).await;
    answer.is_problem(401, "invalid-token");
    keyless.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_refused_honestly_and_other_schemes_are_the_components_affair() {
    let host = Host::start();
    let key = get("/echo/x").header("x-api-key", "nx_live_1_2");
    ask(host.address(), key).await.is_problem(401, "api-keys-unsupported");
    ask(host.address(), bearer("nx_live_1_2")).await.is_problem(401, "api-keys-unsupported");
    let basic = get("/echo/x").header("authorization", "Basic Y2xpZW50OnNlY3JldA==");
    let seen = ask(host.address(), basic).await.json();
    assert_eq!(seen["principal"]["kind"], "anonymous");
    assert_eq!(seen["headers"]["authorization"], "Basic Y2xpZW50OnNlY3JldA==");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_tenant_is_nobody_at_the_host_of_another() {
    let signer = Signer::new();
    let (ours, theirs) = (Uuid::from_u128(5), Uuid::from_u128(6));
    let host = signer.host(|config| {
        config.tenants.insert("nexus.example".into(), ours);
    });
    let token = signer.token(60, &json!({ "tenant": theirs }));
    ask(host.address(), bearer(&token)).await.is_problem(401, "invalid-token");
    let token = signer.token(60, &json!({ "tenant": ours }));
    assert_eq!(ask(host.address(), bearer(&token)).await.status, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_tokens_is_limited_and_valid_ones_pass_meanwhile() {
    let signer = Signer::new();
    let host = signer.host(|config| {
        let hour = Duration::from_secs(3600);
        config.rate.refused_tokens = RateClass::new("refused-tokens", 3, hour);
    });
    let good = signer.token(60, &json!({}));
    // Both shards shall know the good one.
    while signer.counted.asked.load(SeqCst) < 2 {
        assert_eq!(ask(host.address(), bearer(&good)).await.status, 200);
    }
    for n in 0..3 {
        ask(host.address(), bearer(&format!("guess.{n}.x"))).await.is_problem(401, "invalid-token");
    }
    let asked = signer.counted.asked.load(SeqCst);
    let answer = ask(host.address(), bearer("guess.4.x")).await;
    answer.is_problem(429, "rate-limited");
    assert!(!answer.field("retry-after").is_empty());
    assert_eq!(signer.counted.asked.load(SeqCst), asked, "no signature was computed");
    assert_eq!(ask(host.address(), bearer(&good)).await.status, 200);
    host.stop().await;
}
