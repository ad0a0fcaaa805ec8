//! Signatures, checked by their own public key; the forms of RFC 6376 that they are made over.

use super::*;
use ring::signature::{ED25519, KeyPair as _, UnparsedPublicKey};

/// A new Ed25519 key in PEM.
fn pem() -> Vec<u8> {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let text = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes()
}

const MESSAGE: &[u8] = b"From: Nexus <no-reply@nexus.example>\r\nTo: ada@example.org\r\n\
    Subject: A long\r\n  subject\r\nX-Other: x\r\n\r\nHello \t world \r\n\r\nBye\r\n\r\n\r\n";

#[test]
fn the_relaxed_forms_are_those_of_the_standard() {
    // RFC 6376 §3.4.5.
    assert_eq!(relaxed_field("A: X\r\n"), "a:X\r\n");
    assert_eq!(relaxed_field("B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
    assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
    assert_eq!(relaxed_body(b"\r\n\r\n"), b"");
    assert_eq!(relaxed_body(b"a"), b"a\r\n");
}

#[test]
fn a_signature_covers_the_message_and_is_found_by_its_public_key() {
    let dkim = Dkim::new("nexus.example", "s1", &pem()).unwrap();
    let signed = dkim.sign_at(MESSAGE, 1_772_359_200).unwrap();
    assert!(signed.ends_with(MESSAGE));
    let (head, body) = split(&signed).unwrap();
    let all = fields(head);
    let signature = &all[0];
    assert!(signature.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"), "{signature}");
    assert!(signature.lines().all(|line| line.len() <= 78), "{signature}");
    let flat = relaxed_field(signature);
    let tag = |name: &str| {
        let text = flat.split_once(&format!(" {name}=")).unwrap().1;
        text.split(';').next().unwrap().replace([' ', '\r', '\n'], "")
    };
    assert_eq!(tag("h"), "from:from:to:to:subject:subject:date:message-id:reply-to");
    assert_eq!(tag("bh"), STANDARD.encode(Sha256::digest(relaxed_body(body))));
    let named = tag("h");
    let names: Vec<&str> = named.split(':').collect();
    let unsigned = signature.split_once(" b=").unwrap().0.to_owned() + " b=";
    let covered = covered(&all[1..], &names) + relaxed_field(&unsigned).trim_end_matches("\r\n");
    let Key::Ed25519(key) = &dkim.key else { panic!("an Ed25519 key") };
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    let bytes = STANDARD.decode(tag("b")).unwrap();
    public.verify(&Sha256::digest(covered.as_bytes()), &bytes).unwrap();
}

#[test]
fn a_field_that_is_added_to_a_signed_message_breaks_the_signature() {
    let all = fields("From: a@b.c\r\nSubject: x\r\n");
    let names = names(&all);
    let honest = covered(&all, &names);
    for more in ["Subject: y\r\n", "From: eve@example.org\r\n", "Reply-To: eve@example.org\r\n"] {
        let forged: Vec<_> = std::iter::once(more.to_owned()).chain(all.clone()).collect();
        assert_ne!(covered(&forged, &names), honest, "{more}");
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_when_it_is_read() {
    for pem in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert!(matches!(Dkim::new("a.b", "s", pem.as_bytes()), Err(DkimError::Key)), "{pem}");
    }
    assert!(matches!(Dkim::new("a b", "s", &pem()), Err(DkimError::Name)));
    assert!(matches!(Dkim::new("a.b", "", &pem()), Err(DkimError::Name)));
}

/// RFC 8463, appendix A.3, but for the RSA signature.
const STANDARD_MESSAGE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; \
    h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=\r\n\
    From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

#[test]
fn the_standards_own_message_has_the_standards_own_signature() {
    let (head, body) = split(STANDARD_MESSAGE.as_bytes()).unwrap();
    let hash = STANDARD.encode(Sha256::digest(relaxed_body(body)));
    assert_eq!(hash, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let all = fields(head);
    let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
    let covered = covered(&all[1..], &names) + relaxed_field(&all[0]).trim_end_matches("\r\n");
    let key = STANDARD.decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
    let signature = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\
                     Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";
    let signature = STANDARD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, key);
    public.verify(&Sha256::digest(covered.as_bytes()), &signature).unwrap();
}
