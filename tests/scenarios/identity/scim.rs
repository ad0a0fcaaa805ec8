//! A directory provisions people and groups (RFC 7644), and what a group gives is given at once.

use super::users_stage::{ADMINISTRATOR, ROLES, Stage, USERS};
use nexus_harness::prelude::*;

const SCIM_USERS: &str = "/scim/v2/Users";
const SCIM_GROUPS: &str = "/scim/v2/Groups";

#[track_caller]
fn refused(answer: Answer, status: u16, scim_type: &str) {
    assert_eq!(answer.header("content-type"), Some("application/scim+json"), "{answer:?}");
    let error: Value = answer.json();
    assert_eq!(error["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    assert_eq!(error["status"], status.to_string(), "{answer:?}");
    assert_eq!(error["scimType"].as_str().unwrap_or_default(), scim_type, "{answer:?}");
    answer.status(status);
}

fn ada() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Ada", "externalId": "e-1",
        "name": { "givenName": "Ada", "familyName": "Lovelace" },
        "emails": [{ "value": "Ada@Example.org", "type": "work", "primary": true }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R&D" },
    })
}

async fn find(directory: &Client, filter: &str) -> Vec<String> {
    let query: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let page: Value = directory.get(&format!("{SCIM_USERS}?filter={query}")).await.ok().json();
    let names = page["Resources"].as_array().unwrap().iter();
    names.map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_read_replaced_patched_and_removed() {
    let stage = Stage::start().await;
    let directory = stage.nexus.member_with(["users:scim"]).await;
    let made = directory.post(SCIM_USERS, ada()).await.status(201);
    let (tag, place) = (made.header("etag").unwrap(), made.header("location").unwrap());
    let made_json: Value = made.json();
    assert_eq!(made_json["meta"]["version"], tag);
    assert_eq!(made_json["meta"]["location"], place);
    assert_eq!(made_json["emails"][0]["value"], "Ada@Example.org");
    assert_eq!(made_json["active"], true);
    let id = made_json["id"].as_str().unwrap();
    let url = format!("{SCIM_USERS}/{id}");
    assert_eq!(stage.projected(id).await.0, "active");
    refused(directory.post(SCIM_USERS, ada()).await, 409, "uniqueness");
    let patch = json!({ "Operations": [
        { "op": "replace", "path": "active", "value": false },
        { "op": "add", "path": "emails[type eq \"home\"].value", "value": "ada@home.org" },
        { "op": "remove", "path": "name.givenName" },
    ] });
    let patched: Value = directory.patch(&url, patch).await.ok().json();
    assert_eq!(
        (&patched["active"], &patched["name"]),
        (&json!(false), &json!({ "familyName": "Lovelace" }))
    );
    assert_eq!(patched["emails"].as_array().unwrap().len(), 2);
    assert_eq!(stage.projected(id).await.0, "suspended");
    let mut whole = ada();
    whole["title"] = "Countess".into();
    let put = directory.request(http::Method::PUT, &url).json(whole.clone());
    refused(put.header("if-match", tag).send().await, 412, "");
    let replaced: Value = directory.put(&url, whole).await.ok().json();
    assert_eq!((&replaced["active"], &replaced["title"]), (&json!(true), &json!("Countess")));
    assert_eq!(stage.projected(id).await.0, "active");
    let some: Value =
        directory.get(&format!("{url}?attributes=userName,emails.type")).await.ok().json();
    assert_eq!(some["emails"], json!([{ "type": "work" }]));
    assert!(some.get("title").is_none() && some.get("id").is_some());
    directory.delete(&url).await.no_content();
    refused(directory.get(&url).await, 404, "");
    refused(directory.get(&format!("{SCIM_USERS}/no-id")).await, 404, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_filters_sorts_and_pages_and_no_filter_leaves_its_quotes() {
    let stage = Stage::start().await;
    let directory = stage.nexus.member_with(["users:scim"]).await;
    for name in ["ada", "Bob", "carol", "dan.x"] {
        let user = json!({
            "userName": name, "title": if name < "b" { "Lady" } else { "Gent" },
            "emails": [{ "value": format!("{name}@example.org"), "type": "work" }],
        });
        directory.post(SCIM_USERS, user).await.status(201);
    }
    for (filter, expected) in [
        (r#"userName eq "BOB""#, vec!["Bob"]),
        (r#"userName ne "bob" and title eq "Gent""#, vec!["carol", "dan.x"]),
        (r#"userName sw "d" or userName ew "DA""#, vec!["ada", "dan.x"]),
        (r#"not (title eq "gent")"#, vec!["ada", "Bob"]),
        (r#"emails[type eq "work" and value co "carol@"]"#, vec!["carol"]),
        (r#"emails co "n.x""#, vec!["dan.x"]),
        (r#"userName co ".""#, vec!["dan.x"]),
        (r#"userName co "%" or userName co "_" or userName co "[""#, vec![]),
        (r#"nickName pr"#, vec![]),
        (
            r#"meta.created gt "2020-01-01T00:00:00Z" and active eq true"#,
            vec!["ada", "Bob", "carol", "dan.x"],
        ),
        (r#"userName eq "x\" || true || \"""#, vec![]),
        (r#"userName eq "x') or 1=1 --""#, vec![]),
        (r#"userName eq "\\""#, vec![]),
    ] {
        let mut found = find(&directory, filter).await;
        found.sort_by_key(|name| name.to_lowercase());
        assert_eq!(found, expected, "{filter}");
    }
    let page: Value = directory
        .get(&format!("{SCIM_USERS}?sortBy=userName&sortOrder=descending&startIndex=2&count=2"))
        .await
        .ok()
        .json();
    let names: Vec<&Value> =
        page["Resources"].as_array().unwrap().iter().map(|u| &u["userName"]).collect();
    assert_eq!(names, ["carol", "Bob"]);
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(4), &json!(2)));
    let count: Value = directory.get(&format!("{SCIM_USERS}?count=0")).await.ok().json();
    assert_eq!((&count["totalResults"], &count["Resources"]), (&json!(4), &json!([])));
    let search = json!({ "filter": "userName eq \"ada\"", "attributes": ["userName"] });
    let found: Value = directory.post("/scim/v2/Users/.search", search.clone()).await.ok().json();
    assert_eq!(found["totalResults"], 1);
    let found: Value = directory.post("/scim/v2/.search", search).await.ok().json();
    assert_eq!(found["totalResults"], 1);
    for filter in ["userName%20zz%20%22a%22", "shoeSize%20pr", "%28userName%20pr"] {
        refused(
            directory.get(&format!("{SCIM_USERS}?filter={filter}")).await,
            400,
            "invalidFilter",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_group_is_given_and_taken_with_membership() {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    let directory = stage.nexus.member_with(["users:scim", "catalog:view"]).await;
    let ada = stage.register("ada@example.org").await;
    let group = json!({ "displayName": "Viewers", "members": [{ "value": ada }] });
    let group: Value = directory.post(SCIM_GROUPS, group).await.status(201).json();
    let id = group["id"].as_str().unwrap();
    let url = format!("{SCIM_GROUPS}/{id}");
    assert!(group["members"][0]["$ref"].as_str().unwrap().ends_with(&ada));
    let role = json!({ "name": "viewer", "permissions": ["catalog:view"] });
    let role = admin.post(ROLES, role).await.created().json["id"].clone();
    let hung = format!("/api/users/v1/groups/{id}/roles");
    admin.put(&hung, json!({ "role_ids": [role] })).await.ok();
    assert_eq!(stage.projected(&ada).await.1, ["catalog:view"]);
    let shown: Value = directory.get(&format!("{SCIM_USERS}/{ada}")).await.ok().json();
    assert_eq!(shown["groups"][0]["display"], "Viewers");
    let out = json!({ "Operations": [
        { "op": "remove", "path": format!("members[value eq \"{ada}\"]") },
    ] });
    directory.patch(&url, out).await.ok();
    assert_eq!(stage.projected(&ada).await.1, Vec::<String>::new());
    let back =
        json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": ada }] }] });
    directory.patch(&url, back.clone()).await.ok();
    assert_eq!(stage.projected(&ada).await.1, ["catalog:view"]);
    // A directory hands on no more than it holds itself.
    admin.put(&hung, json!({ "role_ids": [ADMINISTRATOR] })).await.ok();
    assert_eq!(stage.projected(&ada).await.1, ["*"]);
    let out = json!({ "Operations": [{ "op": "remove", "path": "members" }] });
    refused(directory.patch(&url, out).await, 403, "");
    refused(directory.delete(&url).await, 403, "");
    refused(directory.delete(&format!("{SCIM_USERS}/{ada}")).await, 403, "");
    admin.delete(&format!("{USERS}/{ada}")).await.problem(409, "last-administrator");
    let nobody = json!({ "displayName": "X", "members": [{ "value": uuid::Uuid::now_v7() }] });
    refused(directory.post(SCIM_GROUPS, nobody).await, 400, "invalidValue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_names_what_it_made_and_stops_when_told_to() {
    let stage = Stage::start().await;
    let directory = stage.nexus.member_with(["users:scim"]).await;
    let bulk = json!({ "failOnErrors": 1, "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "ada", "data": { "userName": "ada" } },
        { "method": "POST", "path": "/Groups", "bulkId": "g", "data": {
            "displayName": "G", "members": [{ "value": "bulkId:ada" }] } },
        { "method": "PATCH", "path": "Users/bulkId:ada", "data": {
            "Operations": [{ "op": "add", "path": "title", "value": "Lady" }] } },
        { "method": "POST", "path": "/Users", "bulkId": "again", "data": { "userName": "ADA" } },
        { "method": "POST", "path": "/Users", "bulkId": "bob", "data": { "userName": "bob" } },
    ] });
    let done: Value = directory.post("/scim/v2/Bulk", bulk).await.ok().json();
    let statuses: Vec<&str> = done["Operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["201", "201", "200", "409"], "{done}");
    let groups: Value = directory.get(SCIM_GROUPS).await.ok().json();
    let member = groups["Resources"][0]["members"][0]["value"].as_str().unwrap();
    let ada: Value = directory.get(&format!("{SCIM_USERS}/{member}")).await.ok().json();
    assert_eq!((&ada["userName"], &ada["title"]), (&json!("ada"), &json!("Lady")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_out_by_itself_what_there_is() {
    let stage = Stage::start().await;
    let directory = stage.nexus.member_with(["users:scim"]).await;
    let config: Value = directory.get("/scim/v2/ServiceProviderConfig").await.ok().json();
    assert_eq!(config["patch"]["supported"], true);
    let kinds: Value = directory.get("/scim/v2/ResourceTypes").await.ok().json();
    assert_eq!(kinds["totalResults"], 2);
    let schemas: Value = directory.get("/scim/v2/Schemas").await.ok().json();
    for schema in schemas["Resources"].as_array().unwrap() {
        let id = schema["id"].as_str().unwrap();
        directory.get(&format!("/scim/v2/Schemas/{id}")).await.ok();
    }
    refused(directory.get("/scim/v2/Schemas/nothing").await, 404, "");
    let broken = directory.request(http::Method::POST, SCIM_USERS).body("{");
    let broken = broken.header("content-type", "application/scim+json").send().await;
    refused(broken, 400, "invalidSyntax");
    stage.nexus.member_with(["users:view"]).await.get(SCIM_USERS).await.problem(403, "forbidden");
}
