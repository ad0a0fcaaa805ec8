//! Somebody at a browser, as far as HTTP sees it: cookies are kept, redirects are followed by hand,
//! forms are sent with all their hidden fields. Knows HTML as far as our own pages write it.

use hmac::{Hmac, Mac as _};
use http::Method;
use nexus_harness::prelude::*;
use sha1::Sha1;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

pub const PASSWORD: &str = "a sentence that nobody else has written";

/// The services that the pages ask; the others would only make each start slower.
pub const SERVICES: [&str; 9] = [
    "auth",
    "core-os",
    "email",
    "frontend-app",
    "kms",
    "session-mgr",
    "token-mgr",
    "user-auth",
    "users",
];

/// The host with what the pages need.
pub async fn suite() -> Nexus {
    Nexus::setup().services(&SERVICES).start().await
}

/// A browser with its cookies.
pub struct Visitor {
    client: Client,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Visitor {
    pub fn of(nexus: &Nexus) -> Self {
        Self::with(nexus.anonymous())
    }

    /// One whose requests bring what `client` brings, such as a token.
    pub fn with(client: Client) -> Self {
        let client = client.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0");
        Self { client, cookies: RefCell::default() }
    }

    /// For what no page does.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A page, without following where it sends one.
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.client.request(Method::GET, path).header("sec-fetch-site", "none");
        self.send(request).await
    }

    /// A form of our own page.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from("same-origin", path, fields).await
    }

    /// A form, with what the browser says of where it comes from.
    pub async fn post_from(&self, site: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.client.request(Method::POST, path).body(encoded(fields));
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site);
        self.send(request).await
    }

    async fn send(&self, request: nexus_harness::RequestDraft<'_>) -> Answer {
        let cookies = {
            let kept = self.cookies.borrow();
            kept.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("; ")
        };
        let request = match cookies.is_empty() {
            true => request,
            false => request.header("cookie", &cookies),
        };
        let answer = request.send().await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut kept = self.cookies.borrow_mut();
            match value.is_empty() || cookie.contains("Max-Age=0") {
                true => kept.remove(name),
                false => kept.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Whether there is a cookie of a session.
    pub fn has_session(&self) -> bool {
        self.cookies.borrow().contains_key("nexus-session")
    }

    /// The page to which an answer sends one.
    pub async fn follow(&self, answer: Answer) -> Answer {
        let to = sent_to(&answer);
        assert!(to.starts_with('/'), "{answer:?}");
        self.get(&to).await
    }

    /// Registers, reads the letter and comes in by its link, as a person would.
    pub async fn registers(&self, nexus: &Nexus, email: &str) {
        let fields = [("email", email), ("password", PASSWORD), ("display_name", "Ada Lovelace")];
        let told = self.post("/account/register", &fields).await.ok().text();
        assert!(told.contains("Look into your mail"), "{told}");
        let path = letter(nexus, email, "/account/verify").await;
        let page = self.get(&path).await.ok().text();
        // Looking is not confirming.
        assert!(!self.has_session());
        let token = hidden(&page, "token");
        let entered = self.post("/account/verify", &[("token", &token)]).await.status(303);
        assert!(self.has_session(), "{entered:?}");
        let account = self.follow(entered).await.ok().text();
        assert!(account.contains("Your e-mail address is confirmed"), "{account}");
    }
}

/// The link of the next letter that leads to a page; other letters are put aside.
pub async fn letter(nexus: &Nexus, to: &str, page: &str) -> String {
    loop {
        let mail = nexus.mail(to).await;
        let link = mail.links.iter().find(|link| link.contains(page));
        if let Some(link) = link {
            return link[link.find("/account/").unwrap()..].to_owned();
        }
    }
}

/// Where an answer sends one.
#[track_caller]
pub fn sent_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap().to_owned()
}

/// The value of a hidden field.
#[track_caller]
pub fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let Some((_, after)) = page.split_once(&mark) else { panic!("no {name} in {page}") };
    let value = after.split('"').next().unwrap();
    value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What an authenticator app shows now (RFC 6238: SHA-1, six digits, thirty seconds).
pub fn totp(secret: &str) -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bits = String::new();
    for letter in secret.chars().filter(|letter| *letter != '=') {
        bits += &format!("{:05b}", letters.find(letter).unwrap());
    }
    let bits: Vec<char> = bits.chars().collect();
    let byte = |bits: &[char]| u8::from_str_radix(&bits.iter().collect::<String>(), 2).unwrap();
    let key: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(now.as_secs() / 30).to_be_bytes());
    let sum = mac.finalize().into_bytes();
    let at = usize::from(sum[19] & 15);
    let number = u32::from_be_bytes(sum[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// `application/x-www-form-urlencoded`.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let one = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect::<String>()
    };
    let pair = |(name, value): &(&str, &str)| format!("{}={}", escape(name), escape(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}
