//! Built-in messages and tenants' own, with models as friends and enemies fill them.

use super::*;

fn model(json: nexus_sdk::serde_json::Value) -> Result<Model, Refusal> {
    Model::read(json.as_object().cloned().unwrap_or_default())
}

fn frame(locale: &str) -> Frame {
    Frame { brand: "Nexus".into(), locale: locale.into(), unsubscribe: None }
}

fn verify(name: &str) -> Rendered {
    let model = model(json!({
        "name": name, "link": "https://nexus.example/verify?flow=1&code=abc",
        "expires_in_minutes": 30, "address": "ada@example.org",
    }));
    built_in("verify-email", &model.unwrap(), &frame("en")).unwrap()
}

#[test]
fn a_message_says_the_same_as_text_and_as_html() {
    let said = verify("Ada");
    assert_eq!(said.subject, "Confirm your e-mail address");
    for text in ["Hello Ada,", "30 minutes", "ada@example.org", "Confirm address"] {
        assert!(said.plain.contains(text), "{text}: {}", said.plain);
        assert!(said.html.contains(text), "{text}");
    }
    assert!(said.plain.contains("https://nexus.example/verify?flow=1&code=abc\n"));
    assert!(said.html.contains("verify?flow=1&amp;code=abc\""), "{}", said.html);
}

#[test]
fn every_built_in_message_is_whole_in_every_language() {
    let all = json!({
        "name": "Ada", "link": "https://nexus.example/x", "expires_in_minutes": 60,
        "address": "192.0.2.7", "device": "Firefox", "organisation": "Engines", "inviter": "Bo",
    });
    for (name, locales) in words::all() {
        for locale in locales {
            for given in [all.clone(), json!({ "link": "https://nexus.example/x" })] {
                let said = built_in(name, &model(given).unwrap(), &frame(locale)).unwrap();
                for text in [&said.subject, &said.html, &said.plain] {
                    let is_whole = !text.contains("{{") && !text.contains("{%");
                    assert!(is_whole && !text.contains("undefined"), "{name} {locale}: {text}");
                }
                assert!(said.html.contains(&format!("lang=\"{locale}\"")), "{name} {locale}");
                assert!(said.html.contains("https:&#x2f;&#x2f;nexus.example&#x2f;x"), "{name}");
            }
        }
    }
}

#[test]
fn markup_in_a_name_stays_text() {
    let said = verify("<img src=x onerror=alert(1)>");
    assert!(!said.html.contains("<img"), "{}", said.html);
    assert!(said.html.contains("&lt;img"));
}

#[test]
fn a_name_cannot_bring_lines_or_addresses_of_its_own() {
    for (given, kept) in [
        ("Ada\r\nBcc: eve@example.org", "Ada Bcc: eve@example. org"),
        ("win at https://evil.example/x", "win at https evil. example/x"),
        ("J.R.R. Tolkien", "J. R. R. Tolkien"),
        ("evil.example", "evil. example"),
        ("  many   spaces ", "many spaces"),
    ] {
        assert_eq!(name(given), kept);
    }
    assert_eq!(name(&"a".repeat(500)).len(), NAME_CHARS_MAX);
    assert_eq!(address("2001:db8::7"), "2001:db8::7");
    assert_eq!(address("https://evil.example/x y"), "https:evil.examplexy");
}

#[test]
fn a_subject_is_one_line_whatever_the_model_says() {
    let source = Source { subject: "Hi {{ x }}".into(), html: "a".into(), plain: "a".into() };
    let model = model(json!({ "x": "a\r\nBcc: eve@example.org\u{0}\u{85}b" })).unwrap();
    let said = own(&source, &model, &frame("en")).unwrap();
    assert_eq!(said.subject, "Hi a Bcc: eve@example.org b");
}

#[test]
fn only_web_addresses_are_links() {
    for text in [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://a b",
        "https://a\r\nb",
        "https://a\"onclick=x",
        "//evil.example",
        "ftp://a/b",
    ] {
        let refused = model(json!({ "link": text })).unwrap_err();
        assert_eq!(refused.name, "ModelLink", "{text:?}");
    }
    assert_eq!(model(json!({ "reset_url": 7 })).unwrap_err().name, "ModelLink");
    assert!(model(json!({ "link": "http://localhost:8080/a?b=c#d" })).is_ok());
}

#[test]
fn a_message_that_leads_nowhere_is_refused() {
    let nothing = model(json!({ "link": null })).unwrap();
    let refused = built_in("magic-link", &nothing, &frame("en")).unwrap_err();
    assert_eq!(refused.name, "ModelWithoutLink");
    assert!(built_in("mfa-changed", &nothing, &frame("en")).is_ok());
    assert_eq!(built_in("unheard-of", &nothing, &frame("en")).unwrap_err(), TemplateUnknown);
}

#[test]
fn a_tenants_template_uses_the_layout_and_is_escaped() {
    let source = Source {
        subject: "{{ order }}".into(),
        html: "{% extends 'layout.html' %}{% from 'parts.html' import button %}\
               {% block content %}<b>{{ order }}</b>{{ button(link, 'Look') }}{% endblock %}"
            .into(),
        plain: "{{ order }}: {{ link }}".into(),
    };
    let model = model(json!({ "order": "A<1>", "link": "https://nexus.example/o" })).unwrap();
    let said = own(&source, &model, &frame("de")).unwrap();
    assert!(said.html.contains("<b>A&lt;1&gt;</b>") && said.html.contains("lang=\"de\""));
    assert!(said.html.contains(">Look</a>"));
    assert_eq!(said.plain, "A<1>: https://nexus.example/o");
}

#[test]
fn a_template_that_is_wrong_is_told_where_and_without_the_model() {
    let with = |html: &str| Source { subject: "a".into(), html: html.into(), plain: "a".into() };
    let secret = model(json!({ "code": "s3cret", "list": [1, 2, 3] })).unwrap();
    for (html, words) in [
        ("a\n{{ code", "line 2"),
        ("{% extends 'other.html' %}", "does not exist"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "end"),
        ("{{ code.a.b.c }}", ""),
    ] {
        let refused = own(&with(html), &secret, &frame("en")).unwrap_err();
        assert_eq!(refused.name, "TemplateBroken", "{html}");
        let told = format!("{:?}", refused);
        assert!(told.contains(words) && !told.contains("s3cret"), "{told}");
    }
    let huge =
        with("{% for a in range(9000) %}0123456789012345678901234567890123456789{% endfor %}");
    assert_eq!(own(&huge, &secret, &frame("en")).unwrap_err().name, "MessageSize");
}
