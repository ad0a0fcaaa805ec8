//! People come in by another provider: who is taken for whom, what a provider's word is worth, and
//! where nobody is ever sent by the name of one.

use super::identity_provider::{CLIENT, Inside, Provider, SECRET};
use super::visitor::{SERVICES, Visitor, hidden, sent_to, totp};
use nexus_harness::prelude::*;
use std::sync::Arc;

const UPSTREAMS: &str = "/api/auth/v1/upstreams";

/// The host, which may reach these places on this machine: a line of the manifest names them.
async fn suite(reachable: &[&str]) -> Nexus {
    let lines: Vec<String> = reachable.iter().map(|place| (*place).to_owned()).collect();
    Nexus::setup()
        .services(&SERVICES)
        .settings(move |settings| {
            let components = &mut Arc::make_mut(&mut settings.manifest).components;
            let auth = components.iter_mut().find(|it| it.id.as_str() == "auth").unwrap();
            Arc::make_mut(auth).allowed_outbound_hosts.extend(lines);
        })
        .start()
        .await
}

fn draft(provider: &Provider, changes: Value) -> Value {
    let mut draft = json!({
        "name": "Example", "issuer": provider.issuer, "client_id": CLIENT,
        "client_secret": SECRET, "registers": true,
    });
    draft.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    draft
}

/// The provider set up, and the host with it.
async fn set_up(changes: Value) -> (Nexus, Arc<Provider>, String) {
    let provider = Provider::start().await;
    let nexus = suite(&[&provider.issuer]).await;
    let made = nexus.operator().post(UPSTREAMS, draft(&provider, changes)).await.created().json;
    assert!(!made.to_string().contains("client_secret"), "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let back = format!("{}/account/sign-in/provider/{id}/callback", nexus.host().public_url());
    assert_eq!(made["redirect_uri"], back);
    (nexus, provider, id)
}

/// To the provider, by the button; where the form leads is another site.
async fn leaves(visitor: &Visitor, id: &str) -> String {
    leaves_by(visitor, &format!("/account/sign-in/provider/{id}")).await
}

async fn leaves_by(visitor: &Visitor, path: &str) -> String {
    let page = visitor.post(path, &[("return_to", "/account/profile")]).await.ok().text();
    let (_, after) = page.split_once("url=").unwrap_or_else(|| panic!("{page}"));
    after.split('"').next().unwrap().replace("&amp;", "&")
}

async fn comes_back(visitor: &Visitor, id: &str, query: &str) -> Answer {
    visitor.get(&format!("/account/sign-in/provider/{id}/callback?{query}")).await
}

async fn signs_in(visitor: &Visitor, provider: &Provider, id: &str) -> Answer {
    let query = provider.lets_in(&leaves(visitor, id).await);
    comes_back(visitor, id, &query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_comes_in_by_a_provider_and_is_known_the_next_time() {
    let (nexus, provider, id) = set_up(json!({})).await;
    let visitor = Visitor::of(&nexus);
    let page = visitor.get("/account/sign-in").await.ok().text();
    assert!(page.contains("Sign in with Example"), "{page}");
    let entered = signs_in(&visitor, &provider, &id).await;
    assert_eq!(sent_to(&entered), "/account/profile");
    assert!(visitor.has_session());
    let page = visitor.get("/account/profile").await.ok().text();
    assert!(page.contains("Ada at the provider") && page.contains("ada@nexus.example"), "{page}");
    // The same person, whatever their address has become.
    provider.claims("email", json!("ada@elsewhere.example"));
    let again = Visitor::of(&nexus);
    signs_in(&again, &provider, &id).await;
    let page = again.get("/account/profile").await.ok().text();
    assert!(page.contains("ada@nexus.example"), "{page}");
    let page = again.get("/account/security").await.ok().text();
    assert!(page.contains("Disconnect"), "{page}");
    // What the provider gave us is sealed.
    let database = nexus.host().database().unwrap().host().await.unwrap();
    let rows = database.query("select client_secret from auth.upstream", &[]).await.unwrap();
    let kept: &str = rows[0].get(0);
    assert!(kept.starts_with("vault:v1:"), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_once_and_only_from_the_browser_that_asked() {
    let (nexus, provider, id) = set_up(json!({})).await;
    let (ada, eve) = (Visitor::of(&nexus), Visitor::of(&nexus));
    let query = provider.lets_in(&leaves(&ada, &id).await);
    leaves(&eve, &id).await;
    // Eve's browser is made to bring Ada's answer, or Ada's to bring Eve's.
    for (thief, brought) in [(&eve, query.as_str()), (&Visitor::of(&nexus), query.as_str())] {
        let refused = comes_back(thief, &id, brought).await.status(422).text();
        assert!(refused.contains("another browser") && !thief.has_session(), "{refused}");
    }
    assert_eq!(provider.asked("/token"), 0, "a code is redeemed only for its own browser");
    comes_back(&ada, &id, &query).await.status(303);
    assert!(ada.has_session());
    let repeated = comes_back(&ada, &id, &query).await.status(422).text();
    assert!(repeated.contains("another browser"), "{repeated}");
    assert_eq!(provider.asked("/token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_is_believed_only_when_all_of_it_fits() {
    let (nexus, provider, id) = set_up(json!({})).await;
    for (claim, value, why) in [
        ("iss", json!("https://evil.example"), "of another issuer"),
        ("aud", json!("somebody-else"), "for somebody else"),
        ("nonce", json!("another"), "another question"),
        ("exp", json!(1_000_000_000), "is over"),
        ("at_hash", json!("AAAA"), "another one"),
        ("email_verified", json!(false), "does not vouch"),
    ] {
        provider.claims(claim, value);
        let visitor = Visitor::of(&nexus);
        let refused = signs_in(&visitor, &provider, &id).await.status(422).text();
        assert!(refused.contains(why), "{claim}: {refused}");
        assert!(!visitor.has_session());
        provider.forgets(claim);
    }
    // Mix-up: the answer of another provider, at this one's address (RFC 9207).
    let visitor = Visitor::of(&nexus);
    let query = provider.lets_in(&leaves(&visitor, &id).await);
    let mixed = format!("{query}&iss=https%3A%2F%2Fevil.example");
    let refused = comes_back(&visitor, &id, &mixed).await.status(422).text();
    assert!(refused.contains("another issuer"), "{refused}");
    let query = provider.lets_in(&leaves(&visitor, &id).await);
    let state = query.split("state=").nth(1).unwrap();
    let denied = format!("error=access_denied&state={state}");
    let refused = comes_back(&visitor, &id, &denied).await.status(422).text();
    assert!(refused.contains("not let you in"), "{refused}");
    signs_in(&visitor, &provider, &id).await.status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_somebody_owns_is_connected_by_its_owner_alone() {
    let (nexus, provider, id) = set_up(json!({ "link": "unclaimed" })).await;
    let ada = Visitor::of(&nexus);
    ada.registers(&nexus, "ada@nexus.example").await;
    // The provider vouches for the address; the account has a password, so that is not enough.
    let somebody = Visitor::of(&nexus);
    let refused = signs_in(&somebody, &provider, &id).await.status(422).text();
    assert!(refused.contains("here is an account with this address"), "{refused}");
    assert!(!somebody.has_session());
    let connect = format!("/account/security/providers/{id}/connect");
    let query = provider.lets_in(&leaves_by(&ada, &connect).await);
    // Eve is sent Ada's way back: she is not Ada.
    let eve = Visitor::of(&nexus);
    comes_back(&eve, &id, &query).await.status(422);
    let connected = comes_back(&ada, &id, &query).await;
    assert_eq!(sent_to(&connected), "/account/security?notice=provider-connected");
    signs_in(&somebody, &provider, &id).await.status(303);
    assert!(somebody.has_session());
    let disconnect = format!("/account/security/providers/{id}/disconnect");
    ada.post(&disconnect, &[]).await.status(303);
    let refused = signs_in(&Visitor::of(&nexus), &provider, &id).await.status(422).text();
    assert!(refused.contains("here is an account with this address"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_addresses_of_the_providers_domains_come_in_by_it() {
    let (nexus, provider, id) = set_up(json!({ "email_domains": ["Nexus.example"] })).await;
    provider.claims("email", json!("eve@evil.example"));
    let refused = signs_in(&Visitor::of(&nexus), &provider, &id).await.status(422).text();
    assert!(refused.contains("does not vouch"), "{refused}");
    provider.forgets("email");
    signs_in(&Visitor::of(&nexus), &provider, &id).await.status(303);
    nexus.operator().delete(&format!("{UPSTREAMS}/{id}")).await.no_content();
    let page = Visitor::of(&nexus).get("/account/sign-in").await.ok().text();
    assert!(!page.contains("Sign in with Example"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_asked_for_two_factors_sets_the_other_one_up_on_the_way_in() {
    let (nexus, provider, id) = set_up(json!({})).await;
    signs_in(&Visitor::of(&nexus), &provider, &id).await.status(303);
    let policy = "/api/users/v1/policy";
    let known = nexus.operator().get(policy).await.ok();
    let mut asked: Value = known.json();
    let role = asked["default_role_id"].clone();
    asked["mfa_role_ids"] = json!([role]);
    asked.as_object_mut().unwrap().remove("version");
    let version = known.header("etag").unwrap().to_owned();
    let operator = nexus.operator();
    let put = operator.request(http::Method::PUT, policy).json(&asked).header("if-match", &version);
    put.send().await.ok();
    let visitor = Visitor::of(&nexus);
    let page = signs_in(&visitor, &provider, &id).await.ok().text();
    assert!(page.contains("Protect your account") && !visitor.has_session(), "{page}");
    let (flow, secret) = (hidden(&page, "flow"), hidden(&page, "flow_secret"));
    // The flow is for setting one up, and for nothing else.
    let proof = json!({ "flow_secret": secret, "code": "000000" });
    let second = format!("/api/user-auth/v1/flows/{flow}/totp");
    nexus.anonymous().post(&second, &proof).await.problem(410, "flow-over");
    let fields = [("flow", flow.as_str()), ("flow_secret", &secret), ("return_to", "/account")];
    let page = visitor.post("/account/second-factor/enrol", &fields).await.ok().text();
    let app = hidden(&page, "secret");
    let wrong = [&fields[..], &[("secret", &app), ("code", "000000")]].concat();
    let page = visitor.post("/account/second-factor/enrol/confirm", &wrong).await.status(422);
    assert!(!visitor.has_session(), "{page:?}");
    let code = totp(&app);
    let right = [&fields[..], &[("secret", &app), ("code", &code)]].concat();
    let page = visitor.post("/account/second-factor/enrol/confirm", &right).await.ok().text();
    assert!(page.contains("Keep these recovery codes") && visitor.has_session(), "{page}");
    // From now on it is asked for, and cannot be taken away.
    let page = signs_in(&Visitor::of(&nexus), &provider, &id).await.ok().text();
    assert!(page.contains("One more step"), "{page}");
    let kept = visitor.post("/account/security/totp/remove", &[]).await.status(422).text();
    assert!(kept.contains("wo factors are asked"), "{kept}");
    let again = format!("/api/user-auth/v1/flows/{flow}/enrolment/totp");
    let proof = json!({ "flow_secret": secret });
    nexus.anonymous().post(&again, proof).await.problem(410, "flow-over");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_provider_leads_a_request_inside() {
    let (provider, inside) = (Provider::start().await, Inside::start().await);
    // The host may reach the provider and nothing else on this machine.
    let nexus = suite(&[&provider.issuer]).await;
    nexus.expects_log("may not reach");
    nexus.expects_log("components answer at http://<name>.spin.internal");
    let operator = nexus.operator();
    let port = inside.port;
    let addresses = [
        format!("http://localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
        format!("http://127.1:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("https://localhost:{port}"),
        format!("https://127.0.0.1:{port}"),
        "https://169.254.169.254".to_owned(),
        "https://0xA9FEA9FE".to_owned(),
        "http://169.254.169.254".to_owned(),
        "https://10.0.0.1".to_owned(),
        "https://192.168.0.1".to_owned(),
        "https://[fd00:ec2::254]".to_owned(),
        "https://kms.spin.internal".to_owned(),
        "http://kms.spin.internal".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://localhost".to_owned(),
    ];
    for issuer in &addresses {
        let answer = operator.post(UPSTREAMS, draft(&provider, json!({ "issuer": issuer }))).await;
        // `localhost` by https is no address that is refused as it is written: the host does that.
        assert!([422, 424].contains(&answer.status.as_u16()), "{issuer}: {answer:?}");
    }
    // The issuer is a good one, and what it names is not.
    for member in ["token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        for address in &addresses {
            provider.says(member, json!(format!("{address}/x")));
            let answer = operator.post(UPSTREAMS, draft(&provider, json!({}))).await;
            if answer.status == 201 {
                // Nothing was asked of it yet: that comes with the first person.
                let made: Value = answer.json();
                let id = made["id"].as_str().unwrap();
                let refused = signs_in(&Visitor::of(&nexus), &provider, id).await;
                assert!(!refused.text().contains("Ada"), "{member} {address}: {refused:?}");
                operator.delete(&format!("{UPSTREAMS}/{id}")).await.no_content();
            } else {
                assert_eq!(answer.status, 422, "{member} {address}: {answer:?}");
            }
        }
        provider.unsays(member);
    }
    // It sends whoever asks on to a place inside.
    for path in ["/.well-known/openid-configuration", "/token", "/keys"] {
        provider.sends_on(path, &format!("http://127.0.0.1:{port}/latest"));
        let answer = operator.post(UPSTREAMS, draft(&provider, json!({}))).await;
        if answer.status == 201 {
            let made: Value = answer.json();
            let id = made["id"].as_str().unwrap();
            signs_in(&Visitor::of(&nexus), &provider, id).await.status(422);
            operator.delete(&format!("{UPSTREAMS}/{id}")).await.no_content();
        }
        provider.stays(path);
    }
    assert_eq!(inside.seen(), 0, "somebody came to the machine inside");
    // The test can fail: a host that names the place reaches it.
    let open = suite(&[&provider.issuer, &format!("http://localhost:{port}")]).await;
    let reached = draft(&provider, json!({ "issuer": format!("http://localhost:{port}") }));
    open.operator().post(UPSTREAMS, reached).await;
    assert!(inside.seen() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_for_administrators_to_set_up() {
    let (nexus, provider, id) = set_up(json!({})).await;
    let path = format!("{UPSTREAMS}/{id}");
    let viewer = nexus.member_with(["auth:view"]).await;
    viewer.get(&path).await.ok();
    viewer.delete(&path).await.problem(403, "forbidden");
    let stranger = nexus.stranger_with(uuid::Uuid::now_v7(), ["auth:view", "auth:manage"]).await;
    stranger.get(&path).await.problem(404, "not-found");
    nexus.anonymous().get(&path).await.problem(401, "unauthenticated");
    let again = draft(&provider, json!({}));
    nexus.operator().post(UPSTREAMS, again).await.problem(409, "upstream-known");
    let moved = draft(&provider, json!({ "issuer": "https://elsewhere.example" }));
    nexus.operator().put(&path, moved).await.problem(409, "conflict");
    // A change without a secret keeps the one that is known.
    let mut renamed = draft(&provider, json!({ "name": "Renamed" }));
    renamed.as_object_mut().unwrap().remove("client_secret");
    nexus.operator().put(&path, renamed).await.ok();
    signs_in(&Visitor::of(&nexus), &provider, &id).await.status(303);
}
