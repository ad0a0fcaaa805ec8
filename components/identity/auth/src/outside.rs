//! Asking providers and clients outside: documents in JSON from addresses that others have named.
//!
//! Knows which addresses are asked at all. That a name leads to a public address is the host's to
//! see to, after it has resolved it and before it connects; redirects are not followed by anybody.

use nexus_sdk::axum::http::{HeaderValue, Method};
use nexus_sdk::prelude::*;
use nexus_sdk::{Echo, Letter, Unanswered, letter};
use serde_json::Value;
use std::time::Duration;
use url::{Host, Url};

/// A person waits for the answer.
const WALL: Duration = Duration::from_secs(8);
/// Discovery documents and key sets are a few KiB.
const BODY_BYTES_MAX: usize = 256 << 10;
const ADDRESS_BYTES_MAX: usize = 2000;

/// Why there is no answer; the words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// It may answer another time.
    Away(String),
    /// It never will, as it is.
    Wrong(String),
}

impl From<Unanswered> for Silence {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Away(why) => Silence::Away(why),
            Unanswered::Refused(why) => Silence::Wrong(why),
        }
    }
}

/// Whether an address may be asked: https by name, as it is written. An installation that is this
/// machine's alone, for trying things out, may also name plain servers on it; whether they are
/// reached is the manifest's to say.
pub fn may_ask(address: &str, origin: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let clean = url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && address.len() <= ADDRESS_BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let local = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let development = Url::parse(origin).is_ok_and(|own| own.scheme() == "http" && local(&own));
    clean
        && match url.scheme() {
            "https" => matches!(url.host(), Some(Host::Domain(_))),
            "http" => development && local(&url),
            _ => false,
        }
}

/// A JSON document.
///
/// # Errors
/// [`Silence`] when there is none.
pub async fn read(address: &str, origin: &str) -> Result<Value, Silence> {
    document(address, origin, letter(Method::GET, address)).await
}

/// A JSON document that is only for whoever holds this token.
///
/// # Errors
/// As [`read`].
pub async fn read_as(address: &str, origin: &str, token: &str) -> Result<Value, Silence> {
    let bearer = HeaderValue::try_from(format!("Bearer {token}"));
    let bearer = bearer.map_err(|_| Silence::Wrong("its token is no text".into()))?;
    let asked = letter(Method::GET, address).header(header::AUTHORIZATION, bearer);
    document(address, origin, asked).await
}

async fn document(address: &str, origin: &str, asked: Letter) -> Result<Value, Silence> {
    let echo = sent(address, origin, asked).await?;
    match echo.status.as_u16() {
        200 => body(&echo),
        status @ (429 | 500..) => Err(Silence::Away(format!("it answered {status}"))),
        status => Err(Silence::Wrong(format!("it answered {status}"))),
    }
}

/// Sends a form and gives whatever came back.
///
/// # Errors
/// [`Silence`] when nothing did.
pub async fn send_form(
    address: &str,
    origin: &str,
    authorization: Option<HeaderValue>,
    form: String,
) -> Result<Echo, Silence> {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut asked = letter(Method::POST, address).header(header::CONTENT_TYPE, kind).body(form);
    if let Some(authorization) = authorization {
        asked = asked.header(header::AUTHORIZATION, authorization);
    }
    sent(address, origin, asked).await
}

async fn sent(address: &str, origin: &str, asked: Letter) -> Result<Echo, Silence> {
    if !may_ask(address, origin) {
        return Err(Silence::Wrong("an address is https, by name".into()));
    }
    let json = HeaderValue::from_static("application/json");
    Ok(asked.header(header::ACCEPT, json).send(WALL, BODY_BYTES_MAX).await?)
}

/// The JSON of an answer.
///
/// # Errors
/// [`Silence::Wrong`] when it is none, or was longer than anybody reads.
pub fn body(echo: &Echo) -> Result<Value, Silence> {
    serde_json::from_slice(&echo.body).map_err(|_| Silence::Wrong("its answer is no JSON".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://nexus.example";
    const OWN_MACHINE: &str = "http://localhost:8080";

    #[test]
    fn only_https_by_name_is_asked() {
        for good in ["https://id.example", "https://id.example:8443/realms/a?b=c"] {
            assert!(may_ask(good, PUBLIC) && may_ask(good, OWN_MACHINE), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "//id.example",
            "http://id.example",
            "http://localhost:1",
            "http://127.0.0.1:1",
            "https://127.0.0.1",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://user:secret@id.example/",
            "https://id.example@127.0.0.1/",
            "https://id.example/#x",
            "https://id.example/\r\nhost: x",
            "https://id.example\\@evil.example/",
            "file:///etc/passwd",
            "ftp://id.example/",
            "gopher://id.example/",
            "data:application/json,{}",
            "javascript:alert(1)",
        ] {
            assert!(!may_ask(bad, PUBLIC), "{bad}");
        }
        assert!(!may_ask(&format!("https://id.example/{}", "a".repeat(2000)), PUBLIC));
    }

    #[test]
    fn only_an_installation_for_trying_out_names_servers_on_its_own_machine() {
        for local in ["http://localhost:9000", "http://127.0.0.1:9000/x", "http://[::1]:9000"] {
            assert!(may_ask(local, OWN_MACHINE), "{local}");
            assert!(!may_ask(local, PUBLIC) && !may_ask(local, "http://nexus.example"), "{local}");
        }
        for elsewhere in ["http://169.254.169.254", "http://10.0.0.1", "http://sub.localhost"] {
            assert!(!may_ask(elsewhere, OWN_MACHINE), "{elsewhere}");
        }
    }
}
