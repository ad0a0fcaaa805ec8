//! Tenants: what one has, another never sees; what each allows, and how much of it.

use super::users_stage::somebody;
use super::users_stage::{ADMINISTRATOR, BINDINGS, MEMBER, ORGANISATIONS, ROLES, Stage, USERS};
use nexus_harness::prelude::*;
use nexus_runtime::Principal;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_see_nothing_of_each_other() {
    let stage = Stage::start().await;
    let ours = stage.administrator().await;
    let other = Uuid::now_v7();
    let theirs = somebody(other, "their-administrator", &["*"]);
    let ada = ours.post(USERS, json!({ "email": "ada@example.org" })).await.created();
    let role = json!({ "name": "editor", "permissions": ["catalog:edit"] });
    let role = ours.post(ROLES, role).await.created();
    let group = json!({ "displayName": "Editors" });
    let group: Value = ours.post("/scim/v2/Groups", group).await.status(201).json();
    let draft = json!({ "user_id": ada.json["id"], "role_id": role.json["id"] });
    let binding = ours.post(BINDINGS, draft).await.created();
    let at = |url: &str| url.trim_start_matches(&stage.nexus.url()).to_owned();
    let group = format!("/scim/v2/Groups/{}", group["id"].as_str().unwrap());
    let scim_user = format!("/scim/v2/Users/{}", ada.json["id"].as_str().unwrap());
    for url in [at(&ada.url), at(&role.url), at(&binding.url), group.clone(), scim_user] {
        assert_eq!(stage.ask(None, &theirs, "GET", &url, None).await.status, 404, "{url}");
        assert_eq!(stage.ask(None, &theirs, "DELETE", &url, None).await.status, 404, "{url}");
    }
    for list in [USERS, BINDINGS, ORGANISATIONS, "/api/users/v1/groups", "/api/users/v1/invites"] {
        let page = stage.ask(None, &theirs, "GET", list, None).await.status(200);
        assert_eq!(page["items"], json!([]), "{list}");
    }
    let found = stage.ask(None, &theirs, "GET", "/scim/v2/Users", None).await.status(200);
    assert_eq!(found["totalResults"], 0);
    // A role of ours cannot be given there, and the same address is free there.
    let draft = json!({ "email": "ada@example.org" });
    let made = stage.ask(None, &theirs, "POST", USERS, Some(draft)).await.status(201);
    let draft = json!({ "user_id": made["id"], "role_id": role.json["id"] });
    stage.ask(None, &theirs, "POST", BINDINGS, Some(draft)).await.problem(404, "not-found");
    let draft = json!({ "user_id": ada.json["id"], "role_id": ADMINISTRATOR });
    let given = stage.ask(None, &theirs, "POST", BINDINGS, Some(draft)).await;
    given.problem(422, "no-such-account");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_made_from_the_first_one_and_hosts_are_told() {
    let stage = Stage::start().await;
    let operator = stage.administrator().await;
    let path = "/api/users/v1/tenants";
    let draft = json!({ "slug": "blue", "name": "Blue", "hosts": ["TV.blue.example"] });
    let blue = operator.post(path, draft).await.created();
    let rows = stage.rows("select hosts from platform.tenant where slug = 'blue'").await;
    assert_eq!(rows[0].get::<_, Vec<String>>(0), ["tv.blue.example"]);
    let taken = json!({ "slug": "red", "name": "Red", "hosts": ["tv.blue.example"] });
    operator.post(path, taken).await.problem(409, "host-taken");
    let same = json!({ "slug": "blue", "name": "Blue again" });
    operator.post(path, same).await.problem(409, "tenant-slug-taken");
    let suspended = json!({ "slug": "blue", "name": "Blue", "status": "suspended" });
    let put = operator.request(http::Method::PUT, &blue.url).json(suspended);
    put.header("if-match", "\"1\"").send().await.ok();
    let rows = stage.rows("select status, hosts from platform.tenant where slug = 'blue'").await;
    assert_eq!(rows[0].get::<_, String>(0), "suspended");
    // The host is free again.
    let red = json!({ "slug": "red", "name": "Red", "hosts": ["tv.blue.example"] });
    operator.post(path, red.clone()).await.created();
    // Its first administrator is an account there.
    let first = json!({ "email": "first@blue.example", "display_name": "First" });
    let appointed = format!("{}/administrators", blue.url);
    let first = operator.post(&appointed, first).await.status(201).json::<Value>();
    let id = first["id"].as_str().unwrap();
    assert_eq!(stage.projected(id).await, ("suspended".into(), vec!["*".into()]));
    let there: Uuid = blue.json["id"].as_str().unwrap().parse().unwrap();
    let path_there = format!("/api/users/v1/internal/users/{id}");
    let proven = Some(json!({ "email_verified": true }));
    let nobody = Principal::anonymous(there);
    stage.ask(Some("user-auth"), &nobody, "PATCH", &path_there, proven).await.status(200);
    assert_eq!(stage.projected(id).await.0, "active");
    operator.get(&format!("{USERS}/{id}")).await.problem(404, "not-found");
    let elsewhere = somebody(Uuid::now_v7(), "x", &["*"]);
    let asked = stage.ask(None, &elsewhere, "POST", path, Some(red)).await;
    asked.problem(403, "tenants-elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_bounds_accounts_and_services_can_read_it() {
    let stage = Stage::start().await;
    let operator = stage.administrator().await;
    let draft = json!({ "slug": "small", "name": "Small" });
    let small = operator.post("/api/users/v1/tenants", draft).await.created();
    let quota = format!("{}/quotas/users", small.url);
    operator.put(&quota, json!({ "amount": 2 })).await.no_content();
    let storage = format!("{}/quotas/storage_bytes", small.url);
    operator.put(&storage, json!({ "amount": 1_000 })).await.no_content();
    let tenant: Uuid = small.json["id"].as_str().unwrap().parse().unwrap();
    let theirs = somebody(tenant, "their-administrator", &["*"]);
    let make = async |email: &str| {
        stage.ask(None, &theirs, "POST", USERS, Some(json!({ "email": email }))).await
    };
    let (one, two, three) = tokio::join!(make("a@s.org"), make("b@s.org"), make("c@s.org"));
    let made = [one.status, two.status, three.status].iter().filter(|s| **s == 201).count();
    assert_eq!(made, 2, "{one:?} {two:?} {three:?}");
    make("d@s.org").await.problem(409, "quota-reached");
    let nobody = Principal::anonymous(tenant);
    let path = "/api/users/v1/internal/quotas/users";
    let read = stage.ask(Some("uploader"), &nobody, "GET", path, None).await.status(200);
    assert_eq!((&read["amount"], &read["used"]), (&json!(2), &json!(2)));
    let path = "/api/users/v1/internal/quotas/requests_per_day";
    let read = stage.ask(Some("gateway"), &nobody, "GET", path, None).await.status(200);
    assert_eq!(read["amount"], Value::Null);
    operator.delete(&quota).await.no_content();
    make("d@s.org").await.status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_who_may_register_and_with_what() {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    let path = "/api/users/v1/policy";
    let role = json!({ "name": "viewer", "permissions": ["catalog:view"] });
    let role = admin.post(ROLES, role).await.created().json["id"].clone();
    let draft = json!({
        "registration": "invite", "email_domains": ["example.org"], "default_role_id": role,
        "mfa_role_ids": [role], "organisations_open": false,
    });
    let put = async |tag: &str, draft: Value| {
        admin.request(http::Method::PUT, path).json(draft).header("if-match", tag).send().await
    };
    put("\"1\"", draft.clone()).await.ok();
    put("\"1\"", draft).await.problem(412, "precondition-failed");
    let register = async |email: &str| {
        let draft = json!({ "email": email, "email_verified": true });
        stage.login_asks("POST", "/api/users/v1/internal/users", Some(draft)).await
    };
    register("ada@evil.org").await.problem(422, "domain-not-admitted");
    register("ada@example.org").await.problem(403, "invitation-needed");
    stage.nexus.expects_log("ask email");
    admin.post("/api/users/v1/invites", json!({ "email": "Ada@example.org" })).await.created();
    let ada = register("ada@example.org").await.status(201);
    assert_eq!(ada["mfa_required"], true);
    assert_eq!(stage.projected(ada["id"].as_str().unwrap()).await.1, ["catalog:view"]);
    let closed = json!({
        "registration": "closed", "default_role_id": MEMBER, "organisations_open": true,
    });
    put("\"2\"", closed).await.ok();
    register("bob@example.org").await.problem(403, "registration-closed");
    // A helper does not make everybody more than they are.
    let role = json!({ "name": "strong", "permissions": ["kms:manage"] });
    let role = admin.post(ROLES, role).await.created().json["id"].clone();
    let helper = stage.nexus.member_with(["users:manage"]).await;
    let wider = json!({
        "registration": "open", "default_role_id": role, "organisations_open": true,
    });
    let put = helper.request(http::Method::PUT, path).json(wider).header("if-match", "\"3\"");
    put.send().await.problem(403, "beyond-your-own");
}
