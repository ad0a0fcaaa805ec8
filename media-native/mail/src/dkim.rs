//! DKIM signatures (RFC 6376; Ed25519 by RFC 8463), relaxed in header and body. Knows one key;
//! refuses to know DNS, where an operator puts its public half.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is signed if it is there. Those at the front are named once more than they occur, so that
/// none can be added afterwards.
const SIGNED: [&str; 12] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "auto-submitted",
];
const SEALED: usize = 6;
/// Lines stay within 78 characters (RFC 5322 §2.1.1).
const NAMES_PER_LINE: usize = 4;

/// A key and the name it is published under.
pub struct Dkim {
    domain: String,
    selector: String,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    #[error("a domain and a selector are names such as nexus.example and s1")]
    Name,
    #[error("the key file cannot be read: {0}")]
    File(std::io::Error),
    #[error("the key is no RSA (2048 bits or more) or Ed25519 key in PKCS #8 PEM")]
    Key,
    #[error("the message has no headers to sign")]
    Message,
    #[error("the key does not sign")]
    Sign,
}

impl fmt::Debug for Dkim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dkim({}._domainkey.{})", self.selector, self.domain)
    }
}

impl Dkim {
    pub(crate) fn read(domain: &str, selector: &str, file: &Path) -> Result<Self, DkimError> {
        let pem = std::fs::read(file).map_err(DkimError::File)?;
        Self::new(domain, selector, &pem)
    }

    pub(crate) fn new(domain: &str, selector: &str, pem: &[u8]) -> Result<Self, DkimError> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        };
        if !is_name(domain) || !is_name(selector) {
            return Err(DkimError::Name);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| DkimError::Key)?;
        let der = der.secret_pkcs8_der();
        let key = match RsaKeyPair::from_pkcs8(der) {
            Ok(key) => Key::Rsa(Box::new(key)),
            Err(_) => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                Key::Ed25519(key.map_err(|_| DkimError::Key)?)
            }
        };
        Ok(Self { domain: domain.to_ascii_lowercase(), selector: selector.to_owned(), key })
    }

    /// The message with its signature at the front.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, DkimError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.sign_at(message, now.as_secs())
    }

    fn sign_at(&self, message: &[u8], at: u64) -> Result<Vec<u8>, DkimError> {
        let (head, body) = split(message).ok_or(DkimError::Message)?;
        let fields = fields(head);
        let names = names(&fields);
        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let hash = STANDARD.encode(Sha256::digest(relaxed_body(body)));
        let lines: Vec<_> = names.chunks(NAMES_PER_LINE).map(|names| names.join(":")).collect();
        let names_in_lines = lines.join(":\r\n ");
        let signature = [
            format!("DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;"),
            format!(" d={}; s={};", self.domain, self.selector),
            format!(" t={at}; h={names_in_lines};"),
            format!(" bh={hash};"),
            " b=".to_owned(),
        ];
        let signature = signature.join("\r\n");
        let mut covered = covered(&fields, &names);
        covered.push_str(relaxed_field(&signature).trim_end_matches("\r\n"));
        let mut signed = signature;
        for piece in STANDARD.encode(self.key.sign(covered.as_bytes())?).as_bytes().chunks(70) {
            signed.push_str("\r\n ");
            signed.push_str(&String::from_utf8_lossy(piece));
        }
        signed.push_str("\r\n");
        let mut whole = signed.into_bytes();
        whole.extend_from_slice(message);
        Ok(whole)
    }
}

impl Key {
    fn sign(&self, covered: &[u8]) -> Result<Vec<u8>, DkimError> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), covered, &mut signature)
                    .map_err(|_| DkimError::Sign)?;
                Ok(signature)
            }
            // RFC 8463 §3: of the hash, not of the text.
            Self::Ed25519(key) => Ok(key.sign(&Sha256::digest(covered)).as_ref().to_vec()),
        }
    }
}

fn split(message: &[u8]) -> Option<(&str, &[u8])> {
    let at = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&message[..at + 2]).ok()?;
    Some((head, &message[at + 4..]))
}

/// Header fields with their continuation lines, each with its line end.
fn fields(head: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in head.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

fn name(field: &str) -> String {
    let name = field.split_once(':').map_or(field, |(name, _)| name);
    name.trim_end().to_ascii_lowercase()
}

fn names(fields: &[String]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (at, wanted) in SIGNED.into_iter().enumerate() {
        let there = fields.iter().filter(|field| name(field) == wanted).count();
        let more = usize::from(at < SEALED);
        names.extend(std::iter::repeat_n(wanted, there + more));
    }
    names
}

/// The fields that `names` names, from the last one of each upwards (RFC 6376 §5.4.2); a name that
/// finds none stands for nothing.
fn covered(fields: &[String], names: &[&str]) -> String {
    let mut left: Vec<Option<&String>> = fields.iter().map(Some).collect();
    let mut covered = String::new();
    for wanted in names {
        let found = left.iter_mut().rev().find(|field| field.is_some_and(|it| name(it) == *wanted));
        if let Some(field) = found.and_then(Option::take) {
            covered.push_str(&relaxed_field(field));
        }
    }
    covered
}

/// RFC 6376 §3.4.2.
fn relaxed_field(field: &str) -> String {
    let value = field.split_once(':').map_or("", |(_, value)| value);
    let value = value.replace("\r\n", "");
    let words: Vec<_> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}\r\n", name(field), words.join(" "))
}

/// RFC 6376 §3.4.4.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let mut relaxed = Vec::with_capacity(body.len());
    let mut kept = 0;
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|window| window == b"\r\n");
        let (line, next) = match end {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &rest[rest.len()..]),
        };
        for (at, word) in line.split(is_space).enumerate() {
            // A run of spaces is one; at the end of a line it is none.
            if at > 0 && !word.is_empty() {
                relaxed.push(b' ');
            }
            relaxed.extend_from_slice(word);
        }
        let is_blank = line.iter().all(is_space);
        relaxed.extend_from_slice(b"\r\n");
        if !is_blank {
            kept = relaxed.len();
        }
        rest = next;
    }
    relaxed.truncate(kept);
    relaxed
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;
