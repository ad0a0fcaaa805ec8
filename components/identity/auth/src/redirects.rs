//! Where people may be sent back to. An address is compared as it is written, letter for letter
//! (RFC 9700 §2.1); only the port of a program on the person's own machine is free (RFC 8252 §7.3).

use url::{Host, Url};

nexus_sdk::refusals! {
    RedirectForm = 422,
        "a redirect address is https, a program's own scheme like com.example.app:/, or http on \
         the loopback address; without fragment, user name or wildcard"
}

const BYTES_MAX: usize = 2000;

/// Whether a client may register this address.
pub fn is_registrable(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let clean = url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !address.contains('*')
        && !address.chars().any(|c| c.is_control() || c.is_whitespace())
        && address.len() <= BYTES_MAX;
    clean
        && match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_loopback(&url),
            // A scheme with a dot is a domain backwards, which somebody owns (RFC 8252 §7.1).
            own => own.contains('.'),
        }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether an address is one of those registered.
pub fn is_registered(address: &str, registered: &[String]) -> bool {
    registered.iter().any(|known| known == address || same_but_port(known, address))
}

fn same_but_port(known: &str, address: &str) -> bool {
    let (Ok(known), Ok(mut asked)) = (Url::parse(known), Url::parse(address)) else {
        return false;
    };
    let by_number = matches!(known.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
    if known.scheme() != "http" || !is_loopback(&known) || !by_number {
        return false;
    }
    // As it is written: what a parser would tidy up is another address.
    asked.as_str() == address && asked.set_port(known.port()).is_ok() && asked == known
}

/// The address with what the answer adds to its query.
pub fn with(address: &str, added: &[(&str, &str)]) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(added.iter().copied())
        .finish();
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{query}")
}

/// Where it leads, in words for the person who is asked.
pub fn place(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return String::new() };
    match (url.scheme(), url.host_str()) {
        ("https" | "http", Some(host)) => host.to_owned(),
        (scheme, _) => format!("the app {scheme}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_somebody_owns_can_be_registered() {
        for good in [
            "https://client.example/callback",
            "https://client.example/callback?tenant=1",
            "http://127.0.0.1/callback",
            "http://localhost:3000/callback",
            "http://[::1]:8080/",
            "com.example.app:/callback",
        ] {
            assert!(is_registrable(good), "{good}");
        }
        for bad in [
            "",
            "/callback",
            "http://client.example/",
            "https://client.example/#x",
            "https://user@client.example/",
            "https://*.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp:/callback",
            "https://client.example/ x",
            "http://127.0.0.1.evil.example/",
            "file:///etc/passwd",
        ] {
            assert!(!is_registrable(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_is_compared_letter_for_letter() {
        let registered = ["https://client.example/callback".to_owned()];
        assert!(is_registered("https://client.example/callback", &registered));
        for other in [
            "https://client.example/callback/",
            "https://client.example/callback?x=1",
            "https://CLIENT.example/callback",
            "https://client.example/./callback",
            "https://client.example:443/callback",
            "https://client.example/callback#x",
            "https://client.example/callback%2f..",
            "https://client.example.evil/callback",
            "https://client.example/callback\t",
            "http://client.example/callback",
            "",
        ] {
            assert!(!is_registered(other, &registered), "{other}");
        }
    }

    #[test]
    fn a_program_on_the_persons_own_machine_picks_its_port() {
        let registered = ["http://127.0.0.1/callback".to_owned()];
        assert!(is_registered("http://127.0.0.1:49152/callback", &registered));
        for other in [
            "http://127.0.0.1:49152/other",
            "http://127.0.0.2:1/callback",
            "http://localhost:49152/callback",
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:49152/callback?x",
            "http://127.0.0.1:1@evil.example/callback",
            "http://127.1:49152/callback",
        ] {
            assert!(!is_registered(other, &registered), "{other}");
        }
    }

    #[test]
    fn what_an_answer_adds_is_escaped() {
        let sent = with("https://c.example/cb?a=1", &[("code", "x"), ("state", "a&b=c\r\n")]);
        assert_eq!(sent, "https://c.example/cb?a=1&code=x&state=a%26b%3Dc%0D%0A");
        assert_eq!(with("com.example.app:/cb", &[("code", "x")]), "com.example.app:/cb?code=x");
    }
}
