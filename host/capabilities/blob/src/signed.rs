//! URLs that carry one permission, for the folder backend: signed here, verified by the door.
//! Pure computation with a secret; knows no clock and no store.
//!
//! `<public url>/blobs/<bucket>/<key>?expires=<Unix seconds>&…&signature=<base64url>`, where the
//! signature is HMAC-SHA256 (RFC 2104) over a version line, the method, the bucket, the key and all
//! other parameters in order. Whatever is not signed is refused, so nothing can be added.

use crate::name::{BucketName, Key, Place};
use crate::store::{Permission, SignedUrl};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// All but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A key keeps its slashes.
const ENCODED_KEY: &AsciiSet = &ENCODED.remove(b'/');

/// Where the host mounts the door.
pub const MOUNT: &str = "/blobs/";

const VERSION: &str = "nexus-blob-url-1";
const SIGNATURE: &str = "signature";

/// Signs and verifies; clones share the secret.
#[derive(Clone)]
pub struct Signer {
    secret: Arc<[u8]>,
    /// Without a slash at the end.
    public_url: Arc<str>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer for {}", self.public_url)
    }
}

/// Why a URL opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the URL is not one that this host signs")]
    Malformed,
    #[error("the signature does not belong to this URL and method")]
    Forged,
    #[error("the URL has expired")]
    Expired,
}

/// What a verified URL permits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Permitted {
    pub(crate) place: Place,
    pub(crate) permission: Permission,
    /// Time left.
    pub(crate) remaining: Duration,
}

type Parameters = BTreeMap<String, String>;

impl Signer {
    /// `secret` should be 32 random bytes, kept as long as URLs shall live.
    pub fn new(secret: &[u8], public_url: &Url) -> Self {
        let public_url = public_url.as_str().trim_end_matches('/');
        Self { secret: secret.into(), public_url: public_url.into() }
    }

    /// Signs for as long as until `expires`, in whole seconds.
    pub(crate) fn sign(
        &self,
        place: &Place,
        permission: &Permission,
        expires: SystemTime,
    ) -> SignedUrl {
        let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let method = method_of(permission);
        let parameters = parameters(permission, seconds);
        let query = query(&parameters);
        let signature = self.mac(method, place, &query).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let (bucket, key) = (&place.bucket, utf8_percent_encode(place.key.as_str(), ENCODED_KEY));
        let origin = &self.public_url;
        SignedUrl {
            url: format!("{origin}{MOUNT}{bucket}/{key}?{query}&{SIGNATURE}={signature}"),
            method,
            headers: headers(permission),
            expires: UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    /// What a request for this path and query may do. `method` is that of the request; a download
    /// may also be asked for its head.
    pub(crate) fn verify(
        &self,
        method: &str,
        path: &str,
        query_text: &str,
        now: SystemTime,
    ) -> Result<Permitted, Refusal> {
        let place = place_of(path).ok_or(Refusal::Malformed)?;
        let mut parameters = parse(query_text).ok_or(Refusal::Malformed)?;
        let signature = parameters.remove(SIGNATURE).ok_or(Refusal::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
        let method = if method == "HEAD" { "GET" } else { method };
        let mac = self.mac(method, &place, &query(&parameters));
        // Compares in constant time.
        mac.verify_slice(&signature).map_err(|_| Refusal::Forged)?;
        let seconds = parameters.get("expires").and_then(|seconds| seconds.parse().ok());
        let expires = UNIX_EPOCH + Duration::from_secs(seconds.ok_or(Refusal::Malformed)?);
        let remaining = expires.duration_since(now).map_err(|_| Refusal::Expired)?;
        let permission = permission(method, &parameters).ok_or(Refusal::Malformed)?;
        Ok(Permitted { place, permission, remaining })
    }

    fn mac(&self, method: &str, place: &Place, query: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        // No part can hold a line break: names and keys by their rules, the query by its encoding.
        let Place { bucket, key } = place;
        mac.update(format!("{VERSION}\n{method}\n{bucket}\n{key}\n{query}").as_bytes());
        mac
    }
}

fn method_of(permission: &Permission) -> &'static str {
    match permission {
        Permission::Download { .. } => "GET",
        Permission::Upload { .. } | Permission::Part { .. } => "PUT",
    }
}

/// What the client must send beside the bytes.
fn headers(permission: &Permission) -> Vec<(String, String)> {
    let (content_type, size) = match permission {
        Permission::Download { .. } => (&None, None),
        Permission::Upload { content_type, size } => (content_type, *size),
        Permission::Part { size, .. } => (&None, *size),
    };
    let content_type = content_type.clone().map(|value| ("content-type".to_owned(), value));
    let length = size.map(|size| ("content-length".to_owned(), size.to_string()));
    content_type.into_iter().chain(length).collect()
}

fn parameters(permission: &Permission, expires: u64) -> Parameters {
    let mut all = Parameters::from([("expires".to_owned(), expires.to_string())]);
    let mut add = |name: &str, value: Option<String>| {
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    match permission.clone() {
        Permission::Download { file_name, content_type } => {
            add("file-name", file_name);
            add("content-type", content_type);
        }
        Permission::Upload { content_type, size } => {
            add("content-type", content_type);
            add("size", size.map(|size| size.to_string()));
        }
        Permission::Part { upload_id, number, size } => {
            add("upload", Some(upload_id));
            add("part", Some(number.to_string()));
            add("size", size.map(|size| size.to_string()));
        }
    }
    all
}

/// The inverse of [`parameters`].
fn permission(method: &str, parameters: &Parameters) -> Option<Permission> {
    let text = |name: &str| parameters.get(name).cloned();
    let size = text("size").map(|size| size.parse::<u64>()).transpose().ok()?;
    let permission = match (method, text("upload")) {
        ("GET", None) => Permission::Download {
            file_name: text("file-name"),
            content_type: text("content-type"),
        },
        ("PUT", None) => Permission::Upload { content_type: text("content-type"), size },
        ("PUT", Some(upload_id)) => {
            Permission::Part { upload_id, number: text("part")?.parse().ok()?, size }
        }
        _ => return None,
    };
    Some(permission)
}

fn query(parameters: &Parameters) -> String {
    let encoded = |text| utf8_percent_encode(text, ENCODED);
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// None when a name occurs twice: which of them would be the signed one?
fn parse(query: &str) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let decode = |text| percent_decode_str(text).decode_utf8().ok();
        if parameters.insert(decode(name)?.into(), decode(value)?.into()).is_some() {
            return None;
        }
    }
    Some(parameters)
}

fn place_of(path: &str) -> Option<Place> {
    let (bucket, key) = path.strip_prefix(MOUNT)?.split_once('/')?;
    let key = percent_decode_str(key).decode_utf8().ok()?;
    Some(Place { bucket: BucketName::new(bucket).ok()?, key: Key::new(&key).ok()? })
}

/// `Content-Disposition` that makes a browser save a file under this name (RFC 6266, RFC 8187).
pub(crate) fn attachment(file_name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(file_name, ENCODED))
}

/// A key as it stands in an S3 URL.
pub(crate) fn encoded_key(key: &str) -> String {
    utf8_percent_encode(key, ENCODED_KEY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Place { bucket: BucketName::new("media").unwrap(), key: Key::new(key).unwrap() }
    }

    fn signer() -> Signer {
        Signer::new(b"secret", &Url::parse("http://localhost:8080/").unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn split(signed: &SignedUrl) -> (String, String) {
        let url = Url::parse(&signed.url).unwrap();
        (url.path().to_owned(), url.query().unwrap().to_owned())
    }

    fn permissions() -> [Permission; 5] {
        let download = |file_name: Option<&str>, content_type: Option<&str>| Permission::Download {
            file_name: file_name.map(Into::into),
            content_type: content_type.map(Into::into),
        };
        [
            download(None, None),
            download(Some("Müller & Söhne.pdf"), Some("text/plain; charset=utf-8")),
            Permission::Upload { content_type: None, size: None },
            Permission::Upload { content_type: Some("video/mp4".into()), size: Some(5 << 30) },
            Permission::Part { upload_id: "a&b=c".into(), number: 7, size: Some(1) },
        ]
    }

    #[test]
    fn a_signed_url_permits_what_was_signed() {
        for key in ["clip.mp4", "Ünïcode/a b+c%2e?&#=.mp4"] {
            for permission in permissions() {
                let signed = signer().sign(&place(key), &permission, at(1000));
                let (path, query) = split(&signed);
                let permitted = signer().verify(signed.method, &path, &query, at(990)).unwrap();
                let remaining = Duration::from_secs(10);
                assert_eq!(permitted, Permitted { place: place(key), permission, remaining });
            }
        }
    }

    #[test]
    fn a_url_looks_the_same_on_every_host_with_the_same_secret() {
        let plain = Permission::Download { file_name: None, content_type: None };
        let signed = signer().sign(&place("a/b c.mp4"), &plain, at(1000));
        assert_eq!(
            signed.url,
            "http://localhost:8080/blobs/media/a/b%20c.mp4?expires=1000\
             &signature=XdA2Wi3dZAmgSaAp9q28YuAPoCOoC3mWgl-4otOTJOo"
        );
    }

    #[test]
    fn an_expired_url_opens_nothing() {
        let signed = signer().sign(&place("k"), &permissions()[0], at(1000));
        let (path, query) = split(&signed);
        assert!(signer().verify("GET", &path, &query, at(1000)).is_ok());
        assert_eq!(signer().verify("GET", &path, &query, at(1001)), Err(Refusal::Expired));
    }

    #[test]
    fn nothing_about_a_signed_url_can_be_changed() {
        for permission in permissions() {
            let signed = signer().sign(&place("key"), &permission, at(1000));
            let (path, query) = split(&signed);
            let verify = |method: &str, path: &str, query: &str| {
                signer().verify(method, path, query, at(0)).expect_err("it was changed")
            };
            let other = if signed.method == "GET" { "PUT" } else { "GET" };
            assert_eq!(verify(other, &path, &query), Refusal::Forged);
            assert_eq!(verify("DELETE", &path, &query), Refusal::Forged);
            assert_eq!(verify(signed.method, "/blobs/media/other", &query), Refusal::Forged);
            assert_eq!(verify(signed.method, "/blobs/medic/key", &query), Refusal::Forged);
            for change in ["&size=1", "&a=b", "&content-type=text%2Fhtml", "&expires=9999"] {
                verify(signed.method, &path, &(query.clone() + change));
            }
            verify(signed.method, &path, &query.replace("expires=1000", "expires=1001"));
            verify(signed.method, &path, query.split("&signature").next().unwrap());
            verify(signed.method, "/blobs/media/../media/key", &query);
            let stranger = Signer::new(b"guess", &Url::parse("http://localhost:8080").unwrap());
            let refused = stranger.verify(signed.method, &path, &query, at(0));
            assert_eq!(refused, Err(Refusal::Forged));
        }
    }

    #[test]
    fn a_download_may_be_asked_for_its_head() {
        let signed = signer().sign(&place("k"), &permissions()[0], at(1000));
        let (path, query) = split(&signed);
        assert!(signer().verify("HEAD", &path, &query, at(0)).is_ok());
    }

    #[test]
    fn the_client_is_told_what_to_send() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let told = permissions().map(|permission| headers(&permission));
        let expected = [
            vec![],
            vec![],
            vec![],
            vec![header("content-type", "video/mp4"), header("content-length", "5368709120")],
            vec![header("content-length", "1")],
        ];
        assert_eq!(told, expected);
    }
}
