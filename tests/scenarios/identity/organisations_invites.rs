//! Invitations as letters: what arrives, what its link opens, and that nothing else does.

use super::users_stage::{ORGANISATIONS, Stage, somebody};
use nexus_harness::prelude::*;
use nexus_runtime::DEFAULT_TENANT;

const LOOK_UP: &str = "/api/users/v1/invites/lookup";
const ACCEPT: &str = "/api/users/v1/invites/accept";
const DECLINE: &str = "/api/users/v1/invites/decline";

/// The secret in a letter's link.
async fn token(stage: &Stage, to: &str) -> Value {
    let mail = stage.nexus.mail(to).await;
    let (page, token) = mail.link().split_once("?token=").unwrap();
    assert!(page.ends_with("/account/invites"), "{page}");
    json!({ "token": token })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letters_link_is_for_one_person_and_one_time() {
    let stage = Stage::with_mail().await;
    let ids = (stage.register("ada@example.org").await, stage.register("bob@example.org").await);
    let eve = stage.register("eve@example.org").await;
    let bob = somebody(DEFAULT_TENANT, &ids.1, &[]);
    let eve = somebody(DEFAULT_TENANT, &eve, &[]);
    let mut ada = somebody(DEFAULT_TENANT, &ids.0, &[]);
    let draft = json!({ "name": "Engines", "slug": "engines" });
    let made = stage.ask(None, &ada, "POST", ORGANISATIONS, Some(draft)).await.status(201);
    let organisation = made["id"].as_str().unwrap().to_owned();
    ada.organisation = Some(organisation.clone());
    ada.permissions = vec!["users:organisation".into()];
    let invites = format!("{ORGANISATIONS}/{organisation}/invites");
    let draft = json!({ "email": "bob@example.org", "locale": "de" });
    let invite = stage.ask(None, &ada, "POST", &invites, Some(draft)).await.status(201);
    let link = token(&stage, "bob@example.org").await;
    let nobody = stage.nexus.anonymous();
    let opened: Value = nobody.post(LOOK_UP, link.clone()).await.ok().json();
    assert_eq!(
        (&opened["organisation"], &opened["email"]),
        (&json!("Engines"), &json!("bob@example.org"))
    );
    let stolen = stage.ask(None, &eve, "POST", ACCEPT, Some(link.clone())).await;
    stolen.problem(403, "invite-for-another");
    stage.ask(None, &bob, "POST", ACCEPT, Some(link.clone())).await.status(204);
    assert_eq!(stage.projected_for(&ids.1, &organisation).await, Some(vec![]));
    stage.ask(None, &bob, "POST", ACCEPT, Some(link.clone())).await.problem(404, "invite-over");
    nobody.post(LOOK_UP, link.clone()).await.problem(404, "invite-over");
    // The secret was in the letter alone.
    let secret = link["token"].as_str().unwrap();
    let rows = stage
        .rows(
            "select i::text from users.invite i
             union all select e::text from platform.event e",
        )
        .await;
    assert!(rows.iter().all(|row| !row.get::<_, String>(0).contains(secret)));
    assert!(!invite.to_string().contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_letter_may_decline_without_an_account() {
    let stage = Stage::with_mail().await;
    let admin = stage.administrator().await;
    let draft = json!({ "email": "carol@example.org" });
    let made = admin.post("/api/users/v1/invites", draft).await.created();
    let link = token(&stage, "carol@example.org").await;
    let nobody = stage.nexus.anonymous();
    nobody.post(DECLINE, link.clone()).await.no_content();
    nobody.post(DECLINE, link).await.problem(404, "invite-over");
    admin.delete(&made.url).await.problem(404, "invite-over");
    let all: Value = admin.get("/api/users/v1/invites").await.ok().json();
    assert_eq!(all["items"][0]["state"], "declined");
}
