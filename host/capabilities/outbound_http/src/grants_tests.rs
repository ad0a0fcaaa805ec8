//! The allow-list against Spin's documented syntax, as tables.

use super::*;
use crate::destination::Target;

fn grants(lines: &[&str]) -> Grants {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    Grants::parse(&lines, &|name| match name {
        "host" => Some("api.example.com".to_owned()),
        "port" => Some("8443".to_owned()),
        _ => None,
    })
    .expect("the test's lines are well-formed")
}

fn check(line: &str, allowed: &[&str], refused: &[&str]) {
    let grants = grants(&[line]);
    let allows = |uri: &str| match Target::of(&uri.parse().expect(uri)).expect(uri) {
        Target::Remote(destination) => grants.allows(&destination),
        Target::Component(component) => grants.allows_component(&component),
        Target::Own => grants.allows_own(),
    };
    for uri in allowed {
        assert!(allows(uri), "{line} should allow {uri}");
    }
    for uri in refused {
        assert!(!allows(uri), "{line} should refuse {uri}");
    }
}

#[test]
fn a_host_is_granted_with_its_scheme_and_port() {
    check(
        "https://api.example.com",
        &[
            "https://api.example.com/v1",
            "https://API.example.com:443/",
            "https://api.example.com./",
        ],
        &[
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://api.example.com.evil.net/",
            "https://xapi.example.com/",
        ],
    );
    check("http://example.com/", &["http://example.com/"], &["https://example.com/"]);
    check("http://example.com:8080/", &["http://example.com:8080/"], &["http://example.com/"]);
    check("HTTPS://Example.COM", &["https://example.com/"], &["http://example.com/"]);
    check("https://bücher.example", &["https://xn--bcher-kva.example/"], &[]);
}

#[test]
fn a_star_stands_for_any_scheme_host_or_port() {
    check(
        "*://example.com:7777",
        &["http://example.com:7777/", "https://example.com:7777/"],
        &["http://example.com/", "https://example.com/"],
    );
    check("https://*", &["https://a.example/", "https://8.8.8.8/"], &["http://a.example/"]);
    check(
        "https://example.com:*",
        &["https://example.com/", "https://example.com:1/"],
        &["http://example.com/"],
    );
    check("*://*:*", &["http://a.example:1/", "https://[2606:4700::1]/", "http://self.alt/"], &[]);
}

#[test]
fn subdomains_are_granted_without_their_parent() {
    check(
        "http://*.example.com",
        &["http://a.example.com/", "http://a.b.example.com/"],
        &["http://example.com/", "http://myexample.com/", "http://a.example.com:8383/"],
    );
    check("http://*.example.com:8383", &["http://a.example.com:8383/"], &["http://a.example.com/"]);
}

#[test]
fn a_port_range_excludes_its_end() {
    check(
        "http://example.com:4444..5555",
        &["http://example.com:4444/", "http://example.com:5554/"],
        &["http://example.com:4443/", "http://example.com:5555/"],
    );
}

#[test]
fn addresses_and_networks_are_granted_in_any_spelling() {
    check("http://192.168.1.1", &["http://192.168.1.1/", "http://0xc0a80101/"], &[]);
    check(
        "http://[::1]:8001",
        &["http://[::1]:8001/", "http://[0:0::1]:8001/"],
        &["http://[::1]/"],
    );
    check("http://[::1]", &["http://[::1]/"], &["http://[::2]/"]);
    check(
        "*://127.0.0.1/24:63551",
        &["http://127.0.0.77:63551/"],
        &["http://127.0.1.1:63551/", "http://localhost:63551/"],
    );
    check("http://10.0.0.0/8", &["http://10.9.8.7/"], &["http://11.0.0.1/", "https://10.0.0.1/"]);
    check("*://ff00::/8:80", &["http://[ff02::1]/"], &["http://[fe80::1]/"]);
}

#[test]
fn variables_are_replaced_before_the_line_is_read() {
    check("https://{{ host }}:{{port}}", &["https://api.example.com:8443/"], &[]);
    check("https://*.{{ host }}", &["https://eu.api.example.com/"], &["https://api.example.com/"]);
    let unknown = Grants::parse(&["https://{{ nobody }}".to_owned()], &|_| None);
    let message = unknown.expect_err("the variable is unknown").to_string();
    assert!(message.contains("nobody"), "{message}");
}

#[test]
fn components_are_granted_by_name_or_all_of_them_but_never_by_a_star() {
    let call = "http://catalog.spin.internal/api";
    check("http://catalog.spin.internal", &[call], &["http://basket.spin.internal/"]);
    check("http://*.spin.internal", &[call], &["http://self.alt/"]);
    check("*://*:*", &[], &[call]);
    check("http://*", &[], &[call]);
    check("https://catalog.spin.internal", &[], &[call]);
    check("http://*.internal", &[], &[call]);
}

#[test]
fn self_is_granted_by_its_own_word() {
    for line in ["http://self", "https://self", "http://self.alt"] {
        check(line, &["http://self.alt/x", "https://self.alt/x"], &["http://self/"]);
    }
    check("http://example.com", &[], &["http://self.alt/x"]);
}

#[test]
fn lines_of_other_protocols_grant_nothing_here() {
    check("postgres://example.com", &[], &["http://example.com:5432/", "http://example.com/"]);
    check("redis://example.com:80", &[], &["http://example.com/"]);
    check("mqtt://*:*", &[], &["http://example.com/"]);
}

#[test]
fn malformed_lines_are_refused_with_a_reason() {
    for line in [
        "example.com",
        "example.com:80",
        "localhost:3001",
        "*",
        "",
        ":",
        "?",
        "insecure:allow-all",
        "http://example.com/a",
        "http://example.com:6666/a/b",
        "http://*.example.com/a",
        "http://a.*.com",
        "http://**",
        "http://*example.com",
        "*://example.com",
        "*://127.0.0.0/24",
        "http://{a,b}",
        "http://example.com:{1,2}",
        "http://example.com:x",
        "http://example.com:0",
        "http://example.com:70000",
        "http://example.com:5..x",
        "ht1tp://example.com",
        "://example.com",
        "http://",
        "http://{{ host",
        "http://user@example.com",
        "http://[::1",
        "http://[::1]x:80",
        "http://*.10.0.0.1",
        "http://10.0.0.0/99",
    ] {
        let parsed = Grants::parse(&[line.to_owned()], &|_| Some("x".to_owned()));
        assert!(matches!(parsed, Err(OutboundError::Grant { .. })), "{line:?}: {parsed:?}");
    }
}

#[test]
fn only_a_line_that_names_a_private_address_lets_it_through() {
    let check = |line: &str, uri: &str, address: &str, expected: bool| {
        let Target::Remote(to) = Target::of(&uri.parse().expect(uri)).expect(uri) else {
            panic!("{uri} is not remote")
        };
        let found = grants(&[line]).allows_address(&to, address.parse().expect(address));
        assert_eq!(found, expected, "{line}: {uri} at {address}");
    };
    for wide in [
        "*://*:*",
        "http://*",
        "http://*.example.com",
        "http://api.example.com",
        "http://0.0.0.0/0",
        "http://self",
    ] {
        check(wide, "http://api.example.com/", "93.184.215.14", true);
        check(wide, "http://api.example.com/", "10.0.0.1", false);
        check(wide, "http://api.example.com/", "127.0.0.1", false);
        check(wide, "http://localhost/", "127.0.0.1", false);
        check(wide, "http://127.0.0.1/", "127.0.0.1", false);
        check(wide, "http://169.254.169.254/", "169.254.169.254", false);
    }
    check("http://127.0.0.1", "http://127.0.0.1/", "127.0.0.1", true);
    check("http://127.0.0.1", "http://127.0.0.1/", "127.0.0.2", false);
    check("http://127.0.0.1:81", "http://127.0.0.1/", "127.0.0.1", false);
    check("http://localhost", "http://localhost/", "127.0.0.1", true);
    check("http://localhost", "http://localhost/", "::1", true);
    check("http://localhost", "http://localhost/", "10.0.0.1", false);
    check("http://localhost", "http://api.example.com/", "127.0.0.1", false);
    check("http://10.0.0.0/8", "http://minio.example.com/", "10.20.30.40", true);
    check("http://10.0.0.0/8", "http://minio.example.com/", "192.168.0.1", false);
    check("http://[fd00::]", "http://[fd00::]/", "fd00::", true);
}

#[test]
fn the_suggested_line_keeps_what_was_there() {
    let line = grants(&["http://a.example", "https://{{ host }}"]).line_with("https://b.example");
    let list = r#"["http://a.example", "https://{{ host }}", "https://b.example"]"#;
    assert_eq!(line, format!("allowed_outbound_hosts = {list}"));
}
