//! Organisations: made by people, run by their owners, left by whom they like; and invitations.

use super::users_stage::{BINDINGS, ORGANISATIONS, OWNER, ROLES, Stage, Told, somebody};
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, Principal};

/// Somebody with an account, as the data plane sees them.
struct Person<'s> {
    stage: &'s Stage,
    id: String,
    principal: Principal,
}

impl<'s> Person<'s> {
    async fn register(stage: &'s Stage, email: &str) -> Self {
        let id = stage.register(email).await;
        let principal = somebody(DEFAULT_TENANT, &id, &[]);
        Self { stage, id, principal }
    }

    /// The same person with what the hosts know of them, acting for an organisation.
    async fn acting(&self, organisation: &str) -> Self {
        let own = self.stage.projected(&self.id).await.1;
        let more = self.stage.projected_for(&self.id, organisation).await;
        let mut principal = self.principal.clone();
        principal.permissions = own;
        principal.permissions.extend(more.expect("a member"));
        principal.organisation = Some(organisation.to_owned());
        Self { stage: self.stage, id: self.id.clone(), principal }
    }

    async fn ask(&self, method: &str, path: &str, json: Option<Value>) -> Told {
        self.stage.ask(None, &self.principal, method, path, json).await
    }

    async fn found(&self, slug: &str) -> String {
        let draft = json!({ "name": format!("The {slug}"), "slug": slug });
        let made = self.ask("POST", ORGANISATIONS, Some(draft)).await.status(201);
        made["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_decides_about_the_organisation_while_acting_for_it() {
    let stage = Stage::start().await;
    let ada = Person::register(&stage, "ada@example.org").await;
    let acme = ada.found("acme").await;
    let url = format!("{ORGANISATIONS}/{acme}");
    let decides = Some(vec!["users:organisation".to_owned()]);
    assert_eq!(stage.projected_for(&ada.id, &acme).await, decides);
    let mine = ada.ask("GET", "/api/users/v1/me/organisations", None).await.status(200);
    assert_eq!(mine[0]["slug"], "acme");
    let rename = || Some(json!({ "name": "Acme and daughters" }));
    ada.ask("PATCH", &url, rename()).await.problem(403, "forbidden");
    let acting = ada.acting(&acme).await;
    let renamed = acting.ask("PATCH", &url, rename()).await.status(200);
    assert_eq!(renamed["name"], "Acme and daughters");
    let same = json!({ "name": "Other", "slug": "acme" });
    ada.ask("POST", ORGANISATIONS, Some(same)).await.problem(409, "slug-taken");
    // A stranger does not even know that it is there, and its owner has no power over others.
    let eve = Person::register(&stage, "eve@example.org").await;
    eve.ask("GET", &url, None).await.problem(404, "not-found");
    let evil = eve.found("evil").await;
    let evil_eve = eve.acting(&evil).await;
    evil_eve.ask("PATCH", &url, rename()).await.problem(404, "not-found");
    evil_eve.ask("DELETE", &url, None).await.problem(404, "not-found");
    acting.ask("DELETE", &url, None).await.status(204);
    assert_eq!(stage.projected_for(&ada.id, &acme).await, None);
    ada.ask("GET", &url, None).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisations_roles_are_given_by_those_who_hold_as_much_there() {
    let stage = Stage::start().await;
    let ada = Person::register(&stage, "ada@example.org").await;
    let bob = Person::register(&stage, "bob@example.org").await;
    let acme = ada.found("acme").await;
    let url = format!("{ORGANISATIONS}/{acme}");
    let admin = stage.administrator().await;
    let shared = json!({
        "name": "publisher", "scope": "organisation",
        "permissions": ["catalog:edit", "catalog:view"],
    });
    let shared = admin.post(ROLES, shared).await.created().json["id"].clone();
    let too_wide = json!({ "name": "god", "scope": "organisation", "permissions": ["*"] });
    admin.post(ROLES, too_wide).await.problem(422, "role-permissions");
    let new = json!({ "user_id": bob.id, "role_id": shared });
    admin.post(&format!("{url}/members"), new).await.status(201);
    let both = Some(vec!["catalog:edit".to_owned(), "catalog:view".to_owned()]);
    assert_eq!(stage.projected_for(&bob.id, &acme).await, both);
    assert_eq!(stage.projected(&bob.id).await.1, Vec::<String>::new(), "only for the organisation");
    // The owner holds users:organisation and not the catalog: that is the tenant's to give.
    let acting = ada.acting(&acme).await;
    let roles = format!("{url}/roles");
    let own = json!({ "name": "reader", "permissions": ["catalog:view"] });
    acting.ask("POST", &roles, Some(own)).await.problem(403, "beyond-your-own");
    let clerk = json!({ "name": "clerk", "permissions": ["users:organisation"] });
    let clerk = acting.ask("POST", &roles, Some(clerk)).await.status(201);
    let draft = json!({ "user_id": bob.id, "role_id": clerk["id"] });
    let bindings = format!("{url}/bindings");
    let bound = acting.ask("POST", &bindings, Some(draft)).await.status(201);
    let three = ["catalog:edit", "catalog:view", "users:organisation"].map(str::to_owned);
    assert_eq!(stage.projected_for(&bob.id, &acme).await, Some(three.to_vec()));
    let gone = format!("{bindings}/{}", bound["id"].as_str().unwrap());
    acting.ask("DELETE", &gone, None).await.status(204);
    assert_eq!(stage.projected_for(&bob.id, &acme).await, both);
    // Neither by the tenant's door nor in another organisation.
    let draft = json!({ "user_id": bob.id, "role_id": clerk["id"] });
    admin.post(BINDINGS, draft.clone()).await.problem(422, "role-scope");
    let other = ada.found("other").await;
    let elsewhere = format!("{ORGANISATIONS}/{other}/bindings");
    let acting_there = ada.acting(&other).await;
    acting_there.ask("POST", &elsewhere, Some(draft)).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_keeps_an_owner() {
    let stage = Stage::start().await;
    let ada = Person::register(&stage, "ada@example.org").await;
    let bob = Person::register(&stage, "bob@example.org").await;
    let acme = ada.found("acme").await;
    let url = format!("{ORGANISATIONS}/{acme}");
    let admin = stage.administrator().await;
    let leave = |user: &str| format!("{url}/members/{user}");
    ada.ask("DELETE", &leave(&ada.id), None).await.problem(409, "last-owner");
    let owner = json!({ "user_id": bob.id, "role_id": OWNER });
    admin.post(&format!("{url}/members"), owner).await.status(201);
    let (adas, bobs) = (leave(&ada.id), leave(&bob.id));
    let (one, other) = tokio::join!(ada.ask("DELETE", &adas, None), bob.ask("DELETE", &bobs, None));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{one:?} {other:?}");
    let members: Value = admin.get(&format!("{url}/members")).await.ok().json();
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    assert_eq!(members["items"][0]["roles"], json!(["owner"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_by_the_owner_of_the_address_and_once() {
    let stage = Stage::start().await;
    // No mail service stands here; the letter is tried again and again.
    stage.nexus.expects_log("ask email");
    let ada = Person::register(&stage, "ada@example.org").await;
    let bob = Person::register(&stage, "bob@example.org").await;
    let eve = Person::register(&stage, "eve@example.org").await;
    let acme = ada.found("acme").await;
    let acting = ada.acting(&acme).await;
    let invites = format!("{ORGANISATIONS}/{acme}/invites");
    let draft = || Some(json!({ "email": "Bob@Example.org" }));
    ada.ask("POST", &invites, draft()).await.problem(403, "forbidden");
    let invite = acting.ask("POST", &invites, draft()).await.status(201);
    assert!(invite.get("digest").is_none(), "{invite}");
    acting.ask("POST", &invites, draft()).await.problem(409, "already-invited");
    let mine = "/api/users/v1/me/invites";
    assert_eq!(eve.ask("GET", mine, None).await.status(200), json!([]));
    let waiting = bob.ask("GET", mine, None).await.status(200);
    assert_eq!(waiting[0]["organisation"], "The acme");
    let accept = format!("{mine}/{}/accept", invite["id"].as_str().unwrap());
    eve.ask("POST", &accept, None).await.problem(404, "not-found");
    bob.ask("POST", &accept, None).await.status(204);
    bob.ask("POST", &accept, None).await.problem(404, "invite-over");
    assert_eq!(stage.projected_for(&bob.id, &acme).await, Some(vec![]));
    let forged = json!({ "token": "nxi_00" });
    let path = "/api/users/v1/invites/accept";
    eve.ask("POST", path, Some(forged)).await.problem(404, "invite-over");
    // One that is withdrawn or too old opens nothing.
    let draft = Some(json!({ "email": "eve@example.org" }));
    let second = acting.ask("POST", &invites, draft.clone()).await.status(201);
    let url = format!("{invites}/{}", second["id"].as_str().unwrap());
    acting.ask("DELETE", &url, None).await.status(204);
    let accept = format!("{mine}/{}/accept", second["id"].as_str().unwrap());
    eve.ask("POST", &accept, None).await.problem(404, "invite-over");
    let third = acting.ask("POST", &invites, draft).await.status(201);
    stage.nexus.advance(days(15)).await;
    let accept = format!("{mine}/{}/accept", third["id"].as_str().unwrap());
    eve.ask("POST", &accept, None).await.problem(404, "invite-over");
}
