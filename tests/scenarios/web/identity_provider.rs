//! An OpenID provider of the test's own, over real HTTP on this machine: it lets one person in, and
//! answers as it is told. And a machine inside that nobody has any business with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_harness::prelude::*;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub const CLIENT: &str = "nexus-at-the-provider";
pub const SECRET: &str = "a secret: of the provider/1+";

/// What it answers with; changed by the tests.
#[derive(Default)]
struct Manner {
    /// Members of the configuration that are other than they should be.
    metadata: HashMap<String, Value>,
    /// Claims of the ID token that are.
    claims: HashMap<String, Value>,
    /// Sends whoever asks a path to another place.
    redirects: HashMap<String, String>,
    /// What was asked for last: nonce and challenge of the browser that it let in.
    nonce: String,
    challenge: String,
    /// How often each path was asked.
    asked: HashMap<String, usize>,
}

pub struct Provider {
    pub issuer: String,
    key: SigningKey,
    manner: Arc<Mutex<Manner>>,
}

impl Provider {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let provider = Arc::new(Self { issuer, key, manner: Arc::default() });
        let served = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(served.clone(), stream));
            }
        });
        provider
    }

    /// From now on, the configuration says this.
    pub fn says(&self, member: &str, value: Value) {
        self.manner.lock().unwrap().metadata.insert(member.to_owned(), value);
    }

    /// From now on, ID tokens claim this.
    pub fn claims(&self, claim: &str, value: Value) {
        self.manner.lock().unwrap().claims.insert(claim.to_owned(), value);
    }

    /// From now on, whoever asks for `path` is sent to `place`.
    pub fn sends_on(&self, path: &str, place: &str) {
        self.manner.lock().unwrap().redirects.insert(path.to_owned(), place.to_owned());
    }

    /// Claims are again as they should be.
    pub fn forgets(&self, claim: &str) {
        self.manner.lock().unwrap().claims.remove(claim);
    }

    pub fn unsays(&self, member: &str) {
        self.manner.lock().unwrap().metadata.remove(member);
    }

    pub fn stays(&self, path: &str) {
        self.manner.lock().unwrap().redirects.remove(path);
    }

    pub fn asked(&self, path: &str) -> usize {
        self.manner.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }

    /// The person signs in there: what the browser brings back for the address that it was sent to.
    pub fn lets_in(&self, address: &str) -> String {
        let query = |name: &str| {
            let (_, query) = address.split_once('?').unwrap();
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(known, _)| *known == name).unwrap();
            value.to_owned()
        };
        assert_eq!(query("response_type"), "code");
        assert_eq!(query("code_challenge_method"), "S256");
        let mut manner = self.manner.lock().unwrap();
        manner.nonce = query("nonce");
        manner.challenge = query("code_challenge");
        format!("code=code-1&state={}", query("state"))
    }

    fn configuration(&self, manner: &Manner) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer, "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
            "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
        });
        for (member, value) in &manner.metadata {
            document[member.as_str()] = value.clone();
        }
        document
    }

    fn keys(&self) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        let part = |part: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(part.unwrap());
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1",
            "x": part(point.x()), "y": part(point.y()) }] })
    }

    fn tokens(&self, manner: &Manner, form: &str) -> (u16, Value) {
        let verifier = form.split('&').find_map(|pair| pair.strip_prefix("code_verifier="));
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.unwrap_or_default()));
        if digest != manner.challenge || !form.contains("code=code-1") {
            return (400, json!({ "error": "invalid_grant" }));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "person-1", "nonce": manner.nonce,
            "iat": now, "exp": now + 300, "email": "ada@nexus.example", "email_verified": true,
            "name": "Ada at the provider",
        });
        for (claim, value) in &manner.claims {
            claims[claim.as_str()] = value.clone();
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": "1" })), part(&claims));
        let signature: Signature = self.key.sign(input.as_bytes());
        let id_token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        (200, json!({ "access_token": "at-1", "token_type": "Bearer", "id_token": id_token }))
    }
}

async fn answer(provider: Arc<Provider>, mut stream: TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let line = |name: &str| {
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = line("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8_lossy(&bytes[head_end + 4..]).into_owned();
    let (status, more, json) = {
        let mut manner = provider.manner.lock().unwrap();
        *manner.asked.entry(path.clone()).or_default() += 1;
        match (manner.redirects.get(&path), path.as_str()) {
            (Some(place), _) => (302, format!("location: {place}\r\n"), json!({})),
            (_, "/.well-known/openid-configuration") => {
                (200, String::new(), provider.configuration(&manner))
            }
            (_, "/keys") => (200, String::new(), provider.keys()),
            (_, "/token") => {
                assert!(line("authorization").is_some_and(|it| it.starts_with("Basic ")), "{head}");
                let (status, json) = provider.tokens(&manner, &body);
                (status, String::new(), json)
            }
            _ => (404, String::new(), json!({})),
        }
    };
    let text = json.to_string();
    let whole = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(whole.as_bytes()).await.ok()
}

/// A listener that counts who comes: nobody should.
pub struct Inside {
    pub port: u16,
    seen: Arc<AtomicUsize>,
}

impl Inside {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = seen.clone();
        tokio::spawn(async move {
            while let Ok((_stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, seen }
    }

    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}
