//! Addresses and names: free to take, closed to strangers, known to resolvers.

use super::{Check, Finding, Ground};
use crate::development::is_development;
use crate::settings::Settings;
use futures::future::BoxFuture;
use http::Uri;
use std::net::{SocketAddr, TcpListener};

pub(super) const CHECKS: &[Check] = &[
    Check::plain("network", "public addresses", |ground| {
        settled(ground, |settings| free(ground, &settings.listen, "NEXUS_LISTEN"))
    }),
    Check::plain("network", "TLS address", |ground| {
        settled(ground, |settings| match &settings.tls {
            Some(tls) => free(ground, &[tls.listen], "NEXUS_TLS_LISTEN"),
            None => Finding::skip("NEXUS_TLS_LISTEN is not set"),
        })
    }),
    Check::plain("network", "operators' address", |ground| {
        settled(ground, |settings| free(ground, &[settings.admin_listen], "NEXUS_ADMIN_LISTEN"))
    }),
    Check::plain("network", "operators' exposure", |ground| {
        settled(ground, |settings| exposed(settings.admin_listen))
    }),
    Check::plain("network", "public URL", |ground| {
        settled(ground, |settings| match &settings.public_url {
            Some(url) => public_url(url, settings.tls.is_some()),
            None => Finding::ok("the address that is picked"),
        })
    }),
    Check::asking("network", "DNS of the public URL", resolved),
    Check::asking("network", "resolver", |_| Box::pin(looked_up("localhost".into(), "resolver"))),
    Check::plain("network", "trusted proxies", |ground| {
        settled(ground, |settings| proxies(settings))
    }),
    Check::plain("network", "allowed origins", |ground| {
        settled(ground, |settings| origins(&settings.cors_origins))
    }),
];

fn settled(ground: &Ground, judge: impl FnOnce(&Settings) -> Finding) -> Finding {
    match &ground.settings {
        Ok(settings) => judge(settings),
        Err(_) => Finding::skip("the settings are wrong"),
    }
}

fn free(ground: &Ground, addresses: &[SocketAddr], option: &str) -> Finding {
    if ground.answers.is_some() {
        return Finding::ok("the host that runs has it");
    }
    for address in addresses {
        if let Err(error) = TcpListener::bind(address) {
            return Finding::fail(
                format!("{address}: {error}"),
                format!("stop what has it (`ss -ltnp`), or set {option}"),
            );
        }
    }
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Finding::ok(format!("{} can be had", shown.join(", ")))
}

fn exposed(address: SocketAddr) -> Finding {
    match address.ip().is_loopback() {
        true => Finding::ok(format!("{address} is this machine's own")),
        false => Finding::warn(
            format!("{address} can be reached from outside, without TLS"),
            "keep it behind a firewall or a tunnel, or set NEXUS_ADMIN_LISTEN=127.0.0.1:8081",
        ),
    }
}

fn public_url(url: &Uri, tls: bool) -> Finding {
    let shown = url.to_string();
    match (is_development(url), url.scheme_str()) {
        (true, _) => Finding::ok(format!("{shown}: development")),
        (false, Some("https")) => {
            let by = if tls { "this host" } else { "what stands before it" };
            Finding::ok(format!("{shown}, TLS by {by}"))
        }
        _ => Finding::fail(shown, "use https: sessions and passkeys need it (NEXUS_PUBLIC_URL)"),
    }
}

fn resolved(ground: &Ground) -> BoxFuture<'_, Finding> {
    Box::pin(async move {
        let url = ground.settings.as_ref().ok().and_then(|settings| settings.public_url.as_ref());
        let Some(host) = url.and_then(|url| url.host()) else {
            return Finding::skip("there is no public URL");
        };
        if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            return Finding::skip("it is an address");
        }
        looked_up(host.to_owned(), "NEXUS_PUBLIC_URL").await
    })
}

async fn looked_up(name: String, option: &'static str) -> Finding {
    match tokio::net::lookup_host((&*name, 0)).await {
        Ok(found) => {
            let found: Vec<String> = found.map(|address| address.ip().to_string()).collect();
            Finding::ok(format!("{name} is {}", found.join(", ")))
        }
        Err(error) => Finding::fail(
            format!("{name}: {error}"),
            format!("enter the name in DNS or /etc/hosts ({option})"),
        ),
    }
}

fn proxies(settings: &Settings) -> Finding {
    let wide = settings.trusted_proxies.iter().find(|network| network.prefix_len() == 0);
    match (wide, settings.trusted_proxies.len()) {
        (Some(network), _) => Finding::fail(
            format!("{network}: anybody may say where they come from"),
            "name the proxies' own networks in NEXUS_TRUSTED_PROXIES",
        ),
        (None, 0) => Finding::ok("nobody's x-forwarded-for is believed"),
        (None, many) => Finding::ok(format!("{many} networks")),
    }
}

fn origins(origins: &[String]) -> Finding {
    let odd = origins.iter().find(|origin| {
        let url = origin.parse::<Uri>();
        !url.is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && matches!(url.path(), "" | "/")
        })
    });
    match odd {
        Some(odd) => Finding::fail(
            format!("{odd} is no origin"),
            "write origins like https://app.example in NEXUS_CORS_ORIGINS",
        ),
        None => Finding::ok(format!("{} besides its own", origins.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_told_apart_from_a_free_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(free(&ground, &[address], "NEXUS_LISTEN").outcome, Fail);
        ground.answers = Some(Default::default());
        assert_eq!(free(&ground, &[address], "NEXUS_LISTEN").outcome, Ok);
        ground.answers = None;
        drop(taken);
        assert_eq!(free(&ground, &["127.0.0.1:0".parse().unwrap()], "NEXUS_LISTEN").outcome, Ok);
    }

    #[test]
    fn what_strangers_can_reach_is_told() {
        assert_eq!(exposed("127.0.0.1:8081".parse().unwrap()).outcome, Ok);
        assert_eq!(exposed("0.0.0.0:8081".parse().unwrap()).outcome, Warn);
        let url = |text: &str| public_url(&text.parse().unwrap(), false).outcome;
        assert_eq!((url("http://localhost:8080"), url("https://nexus.example")), (Ok, Ok));
        assert_eq!(url("http://nexus.example"), Fail);
    }

    #[test]
    fn a_proxy_is_not_the_whole_world_and_an_origin_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Ground::bare(folder.path()).settings.unwrap();
        assert_eq!(proxies(&settings).outcome, Ok);
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(proxies(&settings).outcome, Ok);
        settings.trusted_proxies.push("0.0.0.0/0".parse().unwrap());
        assert_eq!(proxies(&settings).outcome, Fail);
        assert_eq!(origins(&["https://app.example".into()]).outcome, Ok);
        assert_eq!(origins(&["app.example/x".into()]).outcome, Fail);
    }

    #[tokio::test]
    async fn names_are_looked_up() {
        assert_eq!(looked_up("localhost".into(), "x").await.outcome, Ok);
        // RFC 6761: never resolves.
        assert_eq!(looked_up("nexus.invalid".into(), "x").await.outcome, Fail);
    }
}
