//! A life with an account, page by page.

use super::visitor::{PASSWORD, Visitor, hidden, letter, sent_to, suite, totp};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_looks_around_and_signs_out() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    visitor.registers(&nexus, "ada@example.org").await;
    let overview = visitor.get("/account").await.ok().text();
    for words in ["Ada Lovelace", "ada@example.org", "Only your password", "Recent activity"] {
        assert!(overview.contains(words), "{words}: {overview}");
    }
    let saved = visitor
        .post("/account/profile", &[("display_name", "<b>Countess</b>"), ("locale", "de")])
        .await;
    let profile = visitor.follow(saved).await.ok().text();
    assert!(profile.contains("Your profile is saved."), "{profile}");
    assert!(profile.contains("value=\"&lt;b&gt;Countess&lt;/b&gt;\""), "{profile}");
    assert!(profile.contains("value=\"de\" lang=\"de\" selected"), "{profile}");
    let devices = visitor.get("/account/sessions").await.ok().text();
    assert!(devices.contains("This device"), "{devices}");
    assert!(devices.contains("Firefox on Linux"), "{devices}");
    let out = visitor.post("/account/sign-out", &[]).await;
    assert_eq!(sent_to(&out), "/account/sign-in?notice=signed-out");
    assert!(!visitor.has_session());
    assert!(sent_to(&visitor.get("/account").await).starts_with("/account/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_and_other_devices_are_out() {
    let nexus = suite().await;
    let old = Visitor::of(&nexus);
    old.registers(&nexus, "ada@example.org").await;
    let visitor = Visitor::of(&nexus);
    let told = visitor.post("/account/recover", &[("email", "ada@example.org")]).await.ok();
    // The same words for an address that nobody has.
    let stranger = visitor.post("/account/recover", &[("email", "bob@example.org")]).await.ok();
    let plain = |answer: &Answer, email: &str| answer.text().replace(email, "");
    assert_eq!(plain(&told, "ada@example.org"), plain(&stranger, "bob@example.org"));
    let path = letter(&nexus, "ada@example.org", "/account/recover/finish").await;
    let page = visitor.get(&path).await.ok().text();
    let token = hidden(&page, "token");
    let short = [("token", token.as_str()), ("password", "short")];
    visitor.post("/account/recover/finish", &short).await.status(422);
    let fresh = [("token", token.as_str()), ("password", "another sentence of hers alone")];
    let entered = visitor.post("/account/recover/finish", &fresh).await.status(303);
    assert!(visitor.has_session(), "{entered:?}");
    // Once is enough, and what is over says so.
    let again = visitor.post("/account/recover/finish", &fresh).await.status(410).text();
    assert!(again.contains("That link is over"), "{again}");
    let out = async || old.get("/account").await.status == 303;
    eventually("the old device is out", seconds(10), out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_asked_for_and_answered() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    visitor.registers(&nexus, "ada@example.org").await;
    let offer = visitor.post("/account/security/totp", &[]).await.ok().text();
    assert!(offer.contains("src=\"data:image/svg+xml;base64,"), "{offer}");
    let (secret, uri) = (hidden(&offer, "secret"), hidden(&offer, "uri"));
    let qr = hidden(&offer, "qr_svg");
    let wrong = [("code", "000000"), ("secret", &secret), ("uri", &uri), ("qr_svg", &qr)];
    let page = visitor.post("/account/security/totp/confirm", &wrong).await.status(422).text();
    assert_eq!(hidden(&page, "secret"), secret, "the same offer once more");
    let code = totp(&secret);
    let right = [("code", code.as_str()), ("secret", &secret), ("uri", &uri), ("qr_svg", &qr)];
    let codes = visitor.post("/account/security/totp/confirm", &right).await.ok().text();
    let recovery = codes.split("<li><code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    // On another device the password alone is not enough.
    let other = Visitor::of(&nexus);
    let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
    let step = other.post("/account/sign-in", &fields).await.ok().text();
    assert!(step.contains("One more step") && !other.has_session(), "{step}");
    let (flow, flow_secret) = (hidden(&step, "flow"), hidden(&step, "flow_secret"));
    let methods = hidden(&step, "methods");
    let base = [
        ("flow", flow.as_str()),
        ("flow_secret", flow_secret.as_str()),
        ("methods", methods.as_str()),
        ("return_to", "/account/keys"),
    ];
    let with = |more: &[(&'static str, String)]| {
        let more = more.iter().map(|(name, value)| (*name, value.clone()));
        base.iter().map(|(n, v)| (*n, (*v).to_owned())).chain(more).collect::<Vec<_>>()
    };
    let send = async |fields: Vec<(&str, String)>| {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        other.post("/account/second-factor", &fields).await
    };
    let wrong = with(&[("method", "totp".into()), ("code", "000000".into())]);
    let page = send(wrong).await.status(422).text();
    assert_eq!(hidden(&page, "flow"), flow);
    let switched = with(&[("method", "recovery-code".into()), ("switch", "yes".into())]);
    assert!(send(switched).await.ok().text().contains("Type one of the recovery codes"));
    let right = with(&[("method", "recovery-code".into()), ("code", recovery)]);
    assert_eq!(sent_to(&send(right.clone()).await), "/account/keys");
    assert!(other.has_session());
    // What is over starts again, in words.
    let over = send(right).await.status(410).text();
    assert!(over.contains("Let us start again"), "{over}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_works_and_is_revoked() {
    let nexus = suite().await;
    let token = nexus.setup_token().await;
    let visitor = Visitor::of(&nexus);
    visitor.get(&format!("/account/setup?token={token}")).await.ok();
    let administrator = [
        ("token", token.as_str()),
        ("email", "ada@example.org"),
        ("display_name", "Ada"),
        ("password", PASSWORD),
    ];
    let entered = visitor.post("/account/setup", &administrator).await;
    visitor.follow(entered).await.ok();
    visitor.get(&format!("/account/setup?token={token}")).await.status(410);
    let nothing = [("name", "Deploy"), ("days", "30")];
    let page = visitor.post("/account/keys", &nothing).await.status(422).text();
    assert!(page.contains("Choose what the key may do."), "{page}");
    let fields = [("name", "Deploy"), ("days", "30"), ("permissions", "*")];
    let page = visitor.post("/account/keys", &fields).await.ok().text();
    let key = page.split("<code class=\"secret\" tabindex=\"0\">").nth(1).unwrap();
    let key = key.split('<').next().unwrap().to_owned();
    assert!(key.starts_with("nx_test_"), "{key}");
    let program = nexus.anonymous().header("x-api-key", &key);
    program.get("/api/users/v1/users").await.ok();
    let page = visitor.get("/account/keys").await.ok().text();
    assert!(page.contains("Deploy") && !page.contains(&key), "{page}");
    let id = hidden(&page, "id");
    let gone = visitor.post("/account/keys/revoke", &[("id", &id)]).await;
    visitor.follow(gone).await.ok();
    let refused = async || program.get("/api/users/v1/users").await.status == 401;
    eventually("the key opens nothing", seconds(10), refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_is_signed_out_from_here() {
    let nexus = suite().await;
    let (here, there) = (Visitor::of(&nexus), Visitor::of(&nexus));
    here.registers(&nexus, "ada@example.org").await;
    let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
    there.post("/account/sign-in", &fields).await.status(303);
    let devices = here.get("/account/sessions").await.ok().text();
    let id = hidden(&devices, "id");
    let gone = here.post("/account/sessions/end", &[("id", &id)]).await;
    let page = here.follow(gone).await.ok().text();
    assert!(page.contains("That device is signed out."), "{page}");
    let out = async || there.get("/account").await.status == 303;
    eventually("the other device is out", seconds(10), out).await;
    here.get("/account").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_founded_and_left_by_nobody_who_is_its_last_owner() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    visitor.registers(&nexus, "ada@example.org").await;
    let page = visitor.post("/account/organisations", &[("name", "Studio"), ("slug", "S!")]).await;
    let page = page.status(422).text();
    assert!(page.contains("id=\"slug-complaint\""), "{page}");
    let founded =
        visitor.post("/account/organisations", &[("name", "Studio"), ("slug", "studio")]).await;
    let page = visitor.follow(founded).await.ok().text();
    assert!(page.contains("Your organisation is ready."), "{page}");
    let path = page.split('"').find(|it| it.starts_with("/account/organisations/")).unwrap();
    let page = visitor.get(path).await.ok().text();
    assert!(page.contains("Ada Lovelace") && page.contains("You"), "{page}");
}
