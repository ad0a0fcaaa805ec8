//! The words of a server's address that are about TLS. Refuses to know the others: the client
//! library reads those.

use crate::error::Error;
use crate::tls::Mode;

/// Takes `sslmode` and `sslrootcert` out of an address: the client library knows half of their
/// values.
pub(crate) fn take_tls_words(address: &str) -> Result<(String, Mode, Option<String>), Error> {
    let (mut mode, mut root) = (Mode::Prefer, None);
    let mut keep = |word: &str| -> Result<bool, Error> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name.trim() {
            "sslmode" => {
                mode = Mode::parse(value.trim().trim_matches('\''))
                    .ok_or_else(|| Error::Address(format!("sslmode={value} is none of libpq's")))?;
                Ok(false)
            }
            "sslrootcert" => {
                root = Some(value.trim_matches('\'').replace("%2F", "/").replace("%2f", "/"));
                Ok(false)
            }
            _ => Ok(true),
        }
    };
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
    let rest = match (is_url, address.split_once('?')) {
        (true, None) => address.to_owned(),
        (true, Some((base, words))) => {
            let mut kept = Vec::new();
            for word in words.split('&') {
                if keep(word)? {
                    kept.push(word);
                }
            }
            if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
        }
        (false, _) => {
            let mut kept = Vec::new();
            for word in address.split(' ') {
                if keep(word)? {
                    kept.push(word);
                }
            }
            kept.join(" ")
        }
    };
    Ok((rest, mode, root))
}
