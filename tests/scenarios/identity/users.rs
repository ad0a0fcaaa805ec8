//! Accounts: made, found, edited, kept out, forgotten; and who may do that to whom.

use super::users_stage::{ADMINISTRATOR, BINDINGS, ROLES, Stage, USERS, somebody};
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, Principal};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_account_is_known_to_every_host_with_what_it_may_do() {
    let stage = Stage::start().await;
    let ada = stage.register("Ada@Example.org").await;
    assert_eq!(stage.projected(&ada).await, ("active".into(), vec![]));
    let by_email = "/api/users/v1/internal/users/by-email?email=ADA@example.ORG";
    let known = stage.login_asks("GET", by_email, None).await.status(200);
    assert_eq!(known["id"], ada.as_str());
    assert_eq!(known["email"], "ada@example.org");
    assert_eq!(known["status"], "active");
    let again = json!({ "email": "ada@EXAMPLE.org", "email_verified": false });
    let path = "/api/users/v1/internal/users";
    stage.login_asks("POST", path, Some(again)).await.problem(409, "email-taken");
    let nobody = "/api/users/v1/internal/users/by-email?email=eve@example.org";
    stage.login_asks("GET", nobody, None).await.problem(404, "not-found");
    // Another component, or a client with all permissions, finds no such route.
    let who = Principal::anonymous(DEFAULT_TENANT);
    stage.ask(Some("scheduler"), &who, "GET", by_email, None).await.problem(404, "not-found");
    stage.administrator().await.get(by_email).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_given_or_taken_is_known_in_the_same_commit() {
    let stage = Stage::start().await;
    let ada = stage.register("ada@example.org").await;
    let admin = stage.administrator().await;
    let role = json!({ "name": "editor", "permissions": ["catalog:edit", "catalog:view"] });
    let role = admin.post(ROLES, role).await.created();
    let draft = json!({ "user_id": ada, "role_id": role.json["id"] });
    let binding = admin.post(BINDINGS, draft).await.created();
    let both = vec!["catalog:edit".to_owned(), "catalog:view".to_owned()];
    assert_eq!(stage.projected(&ada).await, ("active".into(), both));
    let narrower = json!({ "name": "editor", "permissions": ["catalog:view"] });
    let put = admin.request(http::Method::PUT, &role.url).json(narrower.clone());
    put.header("if-match", "\"1\"").send().await.ok();
    assert_eq!(stage.projected(&ada).await.1, ["catalog:view"]);
    let stale = admin.request(http::Method::PUT, &role.url).json(narrower);
    stale.header("if-match", "\"1\"").send().await.problem(412, "precondition-failed");
    admin.delete(&role.url).await.problem(409, "role-in-use");
    admin.delete(&binding.url).await.no_content();
    assert_eq!(stage.projected(&ada).await.1, Vec::<String>::new());
    admin.delete(&role.url).await.no_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_an_end_is_taken_away_when_it_is_over() {
    let stage = Stage::start().await;
    let ada = stage.register("ada@example.org").await;
    let admin = stage.administrator().await;
    let role = json!({ "name": "guest", "permissions": ["catalog:view"] });
    let role = admin.post(ROLES, role).await.created();
    let end = stage.nexus.runtime().clock().now() + minutes(10);
    let end = humantime(end);
    let draft = json!({ "user_id": ada, "role_id": role.json["id"], "expires_at": end });
    let binding = admin.post(BINDINGS, draft).await.created();
    assert_eq!(stage.projected(&ada).await.1, ["catalog:view"]);
    stage.nexus.advance(minutes(11)).await;
    eventually("the role is over", seconds(30), async || stage.projected(&ada).await.1.is_empty())
        .await;
    admin.get(&binding.url).await.problem(404, "not-found");
}

/// An instant as RFC 3339.
fn humantime(at: std::time::SystemTime) -> String {
    let seconds = at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days.
    let z = days as i64 + 719_468;
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_takes_or_overpowers_what_they_do_not_hold() {
    let stage = Stage::start().await;
    let root = stage.first_administrator("root@example.org").await;
    let ada = stage.register("ada@example.org").await;
    let helper = stage.nexus.member_with(["users:manage", "users:roles", "users:view"]).await;
    let draft = json!({ "user_id": ada, "role_id": ADMINISTRATOR });
    helper.post(BINDINGS, draft).await.problem(403, "beyond-your-own");
    let role = json!({ "name": "mine", "permissions": ["*"] });
    helper.post(ROLES, role).await.problem(403, "beyond-your-own");
    let role = json!({ "name": "mine", "permissions": ["users:view"] });
    let role = helper.post(ROLES, role).await.created();
    let wider = json!({ "name": "mine", "permissions": ["catalog:edit"] });
    let put = helper.request(http::Method::PUT, &role.url).json(wider);
    put.header("if-match", "\"1\"").send().await.problem(403, "beyond-your-own");
    // Whoever could move an administrator's address would soon be one.
    let root_url = format!("{USERS}/{root}");
    let theft = json!({ "email": "eve@example.org" });
    helper.patch(&root_url, theft).await.problem(403, "beyond-your-own");
    helper.post(&format!("{root_url}/suspend"), json!({})).await.problem(403, "beyond-your-own");
    helper.delete(&root_url).await.problem(403, "beyond-your-own");
    helper.patch(&format!("{USERS}/{ada}"), json!({ "display_name": "Ada" })).await.ok();
    // What an organisation lends is not handed on in the tenant.
    let mut acting = somebody(DEFAULT_TENANT, &ada, &["*"]);
    acting.organisation = Some(Uuid::now_v7().to_string());
    let draft = json!({ "user_id": ada, "role_id": ADMINISTRATOR });
    let asked = stage.ask(None, &acting, "POST", BINDINGS, Some(draft)).await;
    asked.problem(403, "acting-for-organisation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays_whatever_two_do_at_once() {
    let stage = Stage::start().await;
    let ada = stage.first_administrator("ada@example.org").await;
    let admin = stage.administrator().await;
    let url = |user: &str| format!("{USERS}/{user}");
    admin
        .post(&format!("{}/suspend", url(&ada)), json!({}))
        .await
        .problem(409, "last-administrator");
    admin.delete(&url(&ada)).await.problem(409, "last-administrator");
    let held: Value = admin.get(&format!("{BINDINGS}?role_id={ADMINISTRATOR}")).await.ok().json();
    let binding = format!("{BINDINGS}/{}", held["items"][0]["id"].as_str().unwrap());
    admin.delete(&binding).await.problem(409, "last-administrator");
    for round in 0..5 {
        let bob = stage.register(&format!("bob{round}@example.org")).await;
        let draft = json!({ "user_id": bob, "role_id": ADMINISTRATOR });
        admin.post(BINDINGS, draft).await.created();
        let standing: Value = admin.get(&url(&ada)).await.ok().json();
        if standing["status"] != "active" {
            admin.post(&format!("{}/reinstate", url(&ada)), json!({})).await.ok();
        }
        let (one, other) = (format!("{}/suspend", url(&ada)), format!("{}/suspend", url(&bob)));
        let (one, other) = tokio::join!(admin.post(&one, json!({})), admin.post(&other, json!({})));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        let left = stage
            .rows("select 1 from platform.subject where permissions = '{*}' and status = 'active'")
            .await;
        assert_eq!(left.len(), 1, "round {round}");
        // The next round begins with Ada alone.
        let bob_now: Value = admin.get(&url(&bob)).await.ok().json();
        if bob_now["status"] == "active" {
            admin.post(&format!("{}/reinstate", url(&ada)), json!({})).await.ok();
            admin.delete(&url(&bob)).await.no_content();
        } else {
            admin.delete(&url(&bob)).await.no_content();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_is_out_at_once_and_who_is_erased_leaves_only_an_id() {
    let stage = Stage::start().await;
    let ada = stage.register("ada@example.org").await;
    let admin = stage.administrator().await;
    let url = format!("{USERS}/{ada}");
    let shown = admin.get(&url).await.ok();
    let tag = shown.header("etag").unwrap().to_owned();
    let known = admin.request(http::Method::GET, &url).header("if-none-match", &tag).send().await;
    known.status(304);
    let reason = json!({ "reason": "spam" });
    let suspended: Value = admin.post(&format!("{url}/suspend"), reason).await.ok().json();
    assert_eq!(
        (&suspended["status"], &suspended["status_reason"]),
        (&json!("suspended"), &json!("spam"))
    );
    assert_eq!(stage.projected(&ada).await.0, "suspended");
    admin.post(&format!("{url}/suspend"), json!({})).await.problem(409, "transition");
    let late = admin.request(http::Method::PATCH, &url).json(json!({ "display_name": "A" }));
    late.header("if-match", &tag).send().await.problem(412, "precondition-failed");
    admin.post(&format!("{url}/reinstate"), json!({})).await.ok();
    assert_eq!(stage.projected(&ada).await.0, "active");
    admin.delete(&url).await.no_content();
    assert_eq!(stage.projected(&ada).await, ("erased".into(), vec![]));
    let gone: Value = admin.get(&url).await.ok().json();
    assert_eq!((&gone["status"], &gone["email"]), (&json!("erased"), &Value::Null));
    let all: Value = admin.get(USERS).await.ok().json();
    assert_eq!(all["items"], json!([]));
    admin.post(&format!("{url}/reinstate"), json!({})).await.problem(409, "transition");
    let rows = stage.rows("select a::text from users.account a").await;
    let row: String = rows[0].get(0);
    assert!(!row.contains("ada"), "{row}");
    // The address is free again.
    stage.register("ada@example.org").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_account_is_active_when_its_address_is_proven() {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    let draft = json!({ "email": "ada@example.org", "display_name": "Ada", "locale": "en" });
    let ada = admin.post(USERS, draft).await.created();
    let id = ada.json["id"].as_str().unwrap();
    assert_eq!(ada.json["status"], "invited");
    assert_eq!(stage.projected(id).await.0, "suspended");
    let path = format!("/api/users/v1/internal/users/{id}");
    let proven = json!({ "email_verified": true, "last_login_at": "2026-03-01T10:00:00Z" });
    let known = stage.login_asks("PATCH", &path, Some(proven)).await.status(200);
    assert_eq!((&known["status"], &known["email_verified"]), (&json!("active"), &json!(true)));
    assert_eq!(stage.projected(id).await.0, "active");
    let other = json!({ "email": "ada@new.org" });
    let known = stage.login_asks("PATCH", &path, Some(other)).await.status(200);
    assert_eq!(known["email_verified"], false, "another address is unproven");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_found_by_parts_of_names_and_addresses_page_by_page() {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    for number in 0..5 {
        let (email, name) = (format!("p{number}@example.org"), format!("Pa {number}"));
        let draft = json!({ "email": email, "display_name": name });
        admin.post(USERS, draft).await.created();
    }
    let page: Value = admin.get(&format!("{USERS}?limit=2&q=P")).await.ok().json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap();
    let rest: Value = admin.get(&format!("{USERS}?limit=200&q=P&cursor={next}")).await.ok().json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    let one: Value = admin.get(&format!("{USERS}?q=pa%203")).await.ok().json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let none: Value = admin.get(&format!("{USERS}?q=%25")).await.ok().json();
    assert_eq!(none["items"], json!([]), "a percent sign is only itself");
    admin.get(&format!("{USERS}?status=active")).await.ok();
    stage.nexus.member_with(["users:manage"]).await.get(USERS).await.problem(403, "forbidden");
    stage.nexus.anonymous().get(USERS).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_account_is_seen_and_edited_without_any_permission() {
    let stage = Stage::start().await;
    let ada = stage.register("ada@example.org").await;
    let me = somebody(DEFAULT_TENANT, &ada, &["catalog:view"]);
    let path = "/api/users/v1/me";
    let shown = stage.ask(None, &me, "GET", path, None).await.status(200);
    assert_eq!(shown["email"], "ada@example.org");
    let edit = json!({ "display_name": "Ada", "locale": "de-CH" });
    let shown = stage.ask(None, &me, "PATCH", path, Some(edit)).await.status(200);
    assert_eq!((&shown["display_name"], &shown["locale"]), (&json!("Ada"), &json!("de-CH")));
    let clear = json!({ "display_name": "" });
    let shown = stage.ask(None, &me, "PATCH", path, Some(clear)).await.status(200);
    assert_eq!(shown["display_name"], Value::Null);
    let address = json!({ "email": "eve@example.org" });
    stage.ask(None, &me, "PATCH", path, Some(address)).await.problem(422, "invalid-body");
    let app = Principal { limited: true, ..me.clone() };
    let edit = json!({ "display_name": "Mallory" });
    stage.ask(None, &app, "PATCH", path, Some(edit)).await.problem(403, "credential-limited");
    let may = stage.ask(None, &me, "GET", "/api/users/v1/me/permissions", None).await.status(200);
    assert_eq!(may["permissions"], json!(["catalog:view"]));
    let check = json!({ "permission": "catalog:view" });
    let verdict = stage.ask(None, &me, "POST", "/api/users/v1/check", Some(check)).await;
    assert_eq!(verdict.status(200)["allowed"], true);
    let about = json!({ "permission": "catalog:view", "subject": ada });
    let path = "/api/users/v1/check";
    stage.ask(None, &me, "POST", path, Some(about.clone())).await.problem(403, "forbidden");
    let checker = somebody(DEFAULT_TENANT, &ada, &["users:check"]);
    let verdict = stage.ask(None, &checker, "POST", path, Some(about)).await.status(200);
    assert_eq!(verdict["allowed"], false, "the account itself has no such role");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_role_reaches_everybody_who_has_it() {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    let role = json!({ "name": "viewer", "permissions": ["catalog:view"] });
    let role = admin.post(ROLES, role).await.created();
    let tenant = DEFAULT_TENANT;
    let (many, role_id) = (1_200, role.json["id"].as_str().unwrap());
    // More holders than one commit tells of, as if they had come one by one.
    let session = stage.nexus.host().database().unwrap().host().await.unwrap();
    let people = format!(
        "insert into users.account (tenant_id, id, status, email, user_name, user_key, projected,
           projected_status, created_at, updated_at)
         select '{tenant}', gen_random_uuid(), 'active', n || '@x.org', n, n, '{{catalog:view}}',
           'active', now(), now() from generate_series(1, {many}) n;
         insert into users.binding (tenant_id, id, user_id, role_id, created_at, created_by)
         select tenant_id, gen_random_uuid(), id, '{role_id}', now(), '' from users.account;"
    );
    session.batch(&people).await.unwrap();
    let wider = json!({ "name": "viewer", "permissions": ["catalog:edit"] });
    let put = admin.request(http::Method::PUT, &role.url).json(wider);
    put.header("if-match", "\"1\"").send().await.ok();
    let known = "select count(*) from platform.subject where permissions = '{catalog:edit}'";
    let told = async || stage.rows(known).await[0].get::<_, i64>(0);
    assert!(told().await >= 500, "the first are told in the same commit");
    eventually("all are told", seconds(60), async || told().await == many).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_hold_directly_by_others_and_by_way_of_things() {
    let stage = Stage::start().await;
    let keeper = stage.nexus.member_with(["users:relate", "users:check"]).await;
    let path = "/api/users/v1/relations";
    let models = [
        ("folder", json!({ "viewer": ["this"] })),
        ("group", json!({ "member": ["this"] })),
        (
            "doc",
            json!({
                "parent": ["this"], "owner": ["this"],
                "editor": ["this", { "computed": "owner" }],
                "viewer": ["this", { "computed": "editor" },
                    { "from": { "of": "parent", "relation": "viewer" } }],
            }),
        ),
    ];
    for (kind, relations) in models {
        let url = format!("/api/users/v1/relation-models/{kind}");
        keeper.put(&url, json!({ "relations": relations })).await.no_content();
    }
    let write = json!({ "write": [
        said("doc:1", "owner", "user:ada"),
        said("doc:1", "parent", "folder:f"),
        said("folder:f", "viewer", "group:eng#member"),
        said("group:eng", "member", "user:bob"),
        said("group:eng", "member", "group:all#member"),
        said("group:all", "member", "group:eng#member"),
        said("doc:2", "viewer", "user:bob"),
    ] });
    keeper.post(path, write).await.no_content();
    let check = async |object: &str, relation: &str, subject: &str| {
        let asked = said(object, relation, subject);
        let verdict: Value = keeper.post(&format!("{path}/check"), asked).await.ok().json();
        verdict["allowed"].as_bool().unwrap()
    };
    assert!(check("doc:1", "viewer", "user:ada").await, "an owner edits, an editor views");
    assert!(check("doc:1", "viewer", "user:bob").await, "by the folder and the group");
    assert!(!check("doc:1", "editor", "user:bob").await);
    assert!(!check("doc:1", "viewer", "user:eve").await, "a circle of groups ends");
    assert!(check("folder:f", "viewer", "group:eng#member").await);
    let wanted = json!({ "kind": "doc", "relation": "viewer", "subject": "user:bob" });
    let found: Value = keeper.post(&format!("{path}/objects"), wanted).await.ok().json();
    assert_eq!(found["objects"], json!(["doc:1", "doc:2"]));
    let back = json!({ "delete": [said("group:eng", "member", "user:bob")] });
    keeper.post(path, back).await.no_content();
    assert!(!check("doc:1", "viewer", "user:bob").await);
    let wrong = json!({ "write": [said("doc:1", "reader", "user:bob")] });
    keeper.post(path, wrong).await.problem(422, "unknown-relation");
    let page: Value = keeper.get(&format!("{path}?object=doc:1&limit=1")).await.ok().json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(page["next"].is_string());
    let stranger = somebody(Uuid::now_v7(), "x", &["*"]);
    let asked = said("doc:1", "owner", "user:ada");
    let verdict = stage.ask(None, &stranger, "POST", &format!("{path}/check"), Some(asked)).await;
    assert_eq!(verdict.status(200)["allowed"], false, "another tenant says nothing of ours");
}

/// A relation as it is written.
fn said(object: &str, relation: &str, subject: &str) -> Value {
    json!({ "object": object, "relation": relation, "subject": subject })
}
