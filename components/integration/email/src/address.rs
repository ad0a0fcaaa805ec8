//! Addresses of people (RFC 5321, in ASCII). Knows which texts are one; refuses to know whether
//! anybody reads what is sent there.
//!
//! Strict on purpose: no quotes, no comments, no literals. What passes can stand in a header and in
//! an SMTP command as it is.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    AddressForm = 422, "this is no e-mail address that can be written to"
}

const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;
/// What RFC 5322 lets stand in an atom, beside letters and digits.
const ATOM: &[u8] = b"!#$%&'*+-/=?^_`{|}~";

/// An address with its domain in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads what somebody has typed; spaces around it are overlooked.
    pub fn read(text: &str) -> Result<Address, Refusal> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(AddressForm)?;
        let is_one = text.len() <= ADDRESS_BYTES_MAX && is_local(local) && is_domain(domain);
        match is_one {
            true => Ok(Address(format!("{local}@{}", domain.to_ascii_lowercase()))),
            false => Err(AddressForm),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The form in which addresses are compared: no mail server of today tells `Ada@` from `ada@`,
    /// and whoever wants no mail wants none at either.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_local(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || ATOM.contains(&b))
    };
    local.len() <= LOCAL_BYTES_MAX && local.split('.').all(is_atom)
}

/// A host name; one label is enough, since development machines are called `localhost`.
pub fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_written_but_for_its_domain() {
        let read = |text: &str| Address::read(text).map(|address| address.as_str().to_owned());
        assert_eq!(read(" Ada.Lovelace+x@Example.ORG "), Ok("Ada.Lovelace+x@example.org".into()));
        assert_eq!(read("root@localhost"), Ok("root@localhost".into()));
        assert_eq!(Address::read("Ada@Example.org").unwrap().folded(), "ada@example.org");
        assert_eq!(Address::read("ada@xn--bcher-kva.example").unwrap().domain().len(), 21);
    }

    #[test]
    fn nothing_that_could_break_out_of_a_header_or_a_command_is_an_address() {
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@@example.org",
            "a b@example.org",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada\r\n@example.org",
            "ada@exa\0mple.org",
            "ada@example.org>",
            "<ada@example.org>",
            "ada@example.org,eve@example.org",
            "ada@example.org;eve@example.org",
            "\"ada\"@example.org",
            "ada(comment)@example.org",
            "ada@[127.0.0.1]",
            "ada@-example.org",
            "ada@example..org",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ädä@example.org",
            "ada@exämple.org",
            "ada@example.org SIZE=1",
        ] {
            assert!(Address::read(text).is_err(), "{text:?}");
        }
        assert!(Address::read(&format!("{}@example.org", "a".repeat(65))).is_err());
        assert!(Address::read(&format!("ada@{}.org", "a".repeat(64))).is_err());
        assert!(Address::read(&format!("ada@{}", "a.".repeat(130))).is_err());
    }
}
