//! The certificate of the host's own TLS: readable, in date, of its key, for the public name.

use super::{Check, Finding, Ground, der};
use crate::settings::Tls;
use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("certificate", "readable", |ground| with(ground, |tls, _| readable(tls))),
    Check::plain("certificate", "in date", |ground| {
        with(ground, |tls, _| match chain(tls) {
            Ok(chain) => in_date(&chain, Timestamp::now()),
            Err(_) => Finding::skip("it cannot be read"),
        })
    }),
    Check::plain("certificate", "of its key", |ground| with(ground, |tls, _| of_key(tls))),
    Check::plain("certificate", "for the public name", |ground| {
        with(ground, |tls, name| match name {
            Some(name) => for_name(tls, name),
            None => Finding::skip("there is no public name"),
        })
    }),
];

/// Days before the end from which on one ought to hurry.
const DAYS_MIN: i64 = 14;

fn with(ground: &Ground, judge: impl FnOnce(&Tls, Option<&str>) -> Finding) -> Finding {
    let Ok(settings) = &ground.settings else { return Finding::skip("the settings are wrong") };
    let name = settings.public_url.as_ref().and_then(|url| url.host());
    match &settings.tls {
        Some(tls) => judge(tls, name),
        None => Finding::skip("this host speaks no TLS itself"),
    }
}

fn chain(tls: &Tls) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = tls.certificate.display();
    let read = CertificateDer::pem_file_iter(&tls.certificate);
    let read = read.map_err(|error| format!("{file}: {error}"))?;
    let chain: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| format!("{file}: {e}"))?;
    if chain.is_empty() { Err(format!("{file} has no certificate")) } else { Ok(chain) }
}

fn key(tls: &Tls) -> Result<PrivateKeyDer<'static>, String> {
    let file = tls.key.display();
    PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| format!("{file}: {error}"))
}

fn readable(tls: &Tls) -> Finding {
    match (chain(tls), key(tls)) {
        (Ok(chain), Ok(_)) => Finding::ok(format!("{} certificates and a key", chain.len())),
        (Err(reason), _) | (_, Err(reason)) => {
            Finding::fail(reason, "correct NEXUS_TLS_CERT and NEXUS_TLS_KEY: PEM, leaf first")
        }
    }
}

fn in_date(chain: &[CertificateDer<'_>], now: Timestamp) -> Finding {
    let todo = "renew it; this host reads it again when the files change";
    let mut first_end: Option<Timestamp> = None;
    for certificate in chain {
        let Some((from, to)) = der::validity(certificate) else {
            return Finding::fail("its dates cannot be read", "is it a certificate?");
        };
        if now < from {
            return Finding::fail(format!("it is not valid before {from}"), "look at the clock");
        }
        first_end = Some(first_end.map_or(to, |end| end.min(to)));
    }
    let Some(end) = first_end else { return Finding::skip("there is none") };
    let days = (end.as_second() - now.as_second()).div_euclid(86_400);
    match days {
        ..0 => Finding::fail(format!("it ended at {end}"), todo),
        0..DAYS_MIN => Finding::warn(format!("it ends in {days} days"), todo),
        _ => Finding::ok(format!("it ends in {days} days")),
    }
}

fn of_key(tls: &Tls) -> Finding {
    let (Ok(chain), Ok(key)) = (chain(tls), key(tls)) else {
        return Finding::skip("they cannot be read");
    };
    let todo = "put the key of this very certificate into NEXUS_TLS_KEY";
    match ring::sign::any_supported_type(&key) {
        Ok(key) => match CertifiedKey::new(chain, key).keys_match() {
            Ok(()) => Finding::ok("they belong together"),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Finding::skip("this kind of key does not tell")
            }
            Err(error) => Finding::fail(error.to_string(), todo),
        },
        Err(error) => Finding::fail(error.to_string(), todo),
    }
}

fn for_name(tls: &Tls, name: &str) -> Finding {
    let Ok(chain) = chain(tls) else { return Finding::skip("it cannot be read") };
    let bare = name.trim_matches(['[', ']']).to_owned();
    let Ok(server) = ServerName::try_from(bare) else {
        return Finding::skip(format!("{name} is no name"));
    };
    let parsed = ParsedCertificate::try_from(&chain[0]);
    let fits = parsed.and_then(|leaf| rustls::client::verify_server_name(&leaf, &server));
    match fits {
        Ok(()) => Finding::ok(format!("it names {name}")),
        Err(_) => Finding::fail(
            format!("it does not name {name}"),
            "get one for the host of NEXUS_PUBLIC_URL",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Warn};
    use super::*;
    use std::path::Path;

    fn made(folder: &Path, name: &str) -> Tls {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Tls { listen: "127.0.0.1:8443".parse().unwrap(), certificate, key }
    }

    #[test]
    fn a_certificate_is_read_with_its_key_and_for_its_name() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut tls = made(one.path(), "nexus.example");
        assert_eq!((readable(&tls).outcome, of_key(&tls).outcome), (Ok, Ok));
        assert_eq!(for_name(&tls, "nexus.example").outcome, Ok);
        assert_eq!(for_name(&tls, "other.example").outcome, Fail);
        tls.key = made(other.path(), "nexus.example").key;
        assert_eq!(of_key(&tls).outcome, Fail, "of another certificate");
        tls.certificate = one.path().join("none.pem");
        assert_eq!(readable(&tls).outcome, Fail);
    }

    #[test]
    fn its_end_is_told_two_weeks_before() {
        let mut params = rcgen::CertificateParams::new(["nexus.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = [params.self_signed(&key).unwrap().der().clone()];
        let at = |day: &str| in_date(&chain, format!("{day}T00:00:00Z").parse().unwrap()).outcome;
        assert_eq!((at("2026-02-01"), at("2026-03-25")), (Ok, Warn));
        assert_eq!((at("2025-12-31"), at("2026-04-02")), (Fail, Fail));
    }
}
