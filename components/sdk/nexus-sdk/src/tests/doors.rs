//! Who gets in, and what is said to those who do not.

use serde_json::json;

use super::catalog::{Asking, ask, member, nobody, service};
use crate::{Door, Kind, Principal, Problem};
use chrono::Utc;

const PRODUCT: &str = "/api/catalog/v1/products/01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn nobody_is_asked_for_a_credential_and_a_stranger_for_the_permission() {
    let answer = ask(&nobody(), "GET", PRODUCT).answer().await;
    answer.problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let answer = ask(&member(&["catalog:edit"]), "GET", PRODUCT).answer().await;
    assert!(answer.problem(403, "forbidden").detail.contains("catalog:view"));
}

#[tokio::test]
async fn every_guarded_route_refuses_nobody_and_the_one_without_permission() {
    let mut guarded = 0;
    for route in service().routes() {
        let Door::Allowed(permission) = route.door() else {
            continue;
        };
        let path = route.path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057");
        ask(&nobody(), route.method, &path).answer().await.problem(401, "unauthenticated");
        let stranger = member(&["other:edit"]);
        let refused = ask(&stranger, route.method, &path).answer().await;
        assert!(refused.problem(403, "forbidden").detail.contains(permission));
        guarded += 1;
    }
    assert_eq!(guarded, 5);
}

#[tokio::test]
async fn what_is_ones_own_needs_a_person_who_has_proven_it_lately() {
    let path = "/api/catalog/v1/mine";
    ask(&nobody(), "GET", path).answer().await.problem(401, "unauthenticated");
    let mut ada = member(&[]);
    ada.auth_time = None;
    ask(&ada, "GET", path).answer().await.problem(403, "step-up-required");
    ada.auth_time = Some(Utc::now().timestamp() - 599);
    assert_eq!(ask(&ada, "GET", path).answer().await.read::<String>(), ada.subject);
    ada.auth_time = Some(Utc::now().timestamp() - 601);
    ask(&ada, "GET", path).answer().await.problem(403, "step-up-required");
    let service = Principal { kind: Kind::Service, ..ada };
    ask(&service, "GET", path).answer().await.problem(403, "forbidden");
}

#[tokio::test]
async fn programs_and_cut_down_credentials_have_no_say_over_what_only_a_person_may_do() {
    let path = "/api/catalog/v1/mine";
    let ada = Principal { auth_time: Some(Utc::now().timestamp()), ..member(&["*"]) };
    let key = Principal { kind: Kind::ApiKey, ..ada.clone() };
    ask(&key, "GET", path).answer().await.problem(403, "people-only");
    let token = Principal { limited: true, ..ada };
    ask(&token, "GET", path).answer().await.problem(403, "credential-limited");
}

#[tokio::test]
async fn what_components_ask_each_other_is_not_there_for_anybody_else() {
    let path = "/api/catalog/v1/internal/stock";
    for who in [nobody(), member(&["*"])] {
        ask(&who, "GET", path).answer().await.problem(404, "not-found");
        let asking = ask(&who, "GET", path).header("nexus-caller", "thief");
        asking.answer().await.problem(404, "not-found");
        let asking = ask(&who, "GET", path).header("nexus-caller", "market");
        assert_eq!(asking.answer().await.read::<String>(), "market");
    }
    let told = service().openapi().to_string();
    assert!(told.contains("/api/catalog/v1/mine") && !told.contains("/internal/stock"));
}

#[tokio::test]
async fn without_the_hosts_principal_nothing_is_allowed_on_a_guess() {
    let request = axum::extract::Request::get("/api/catalog/v1/failure").body("".into()).unwrap();
    assert_eq!(service().call(request).await.status(), 500);
}

#[tokio::test]
async fn a_failure_shows_the_request_id_and_nothing_else() {
    let answer = ask(&nobody(), "GET", "/api/catalog/v1/failure").answer().await;
    answer.problem(500, "failure");
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test]
async fn a_path_that_is_not_there_and_a_method_it_does_not_take_are_problems() {
    ask(&nobody(), "GET", "/api/catalog/v1/nothing").answer().await.problem(404, "not-found");
    let answer = ask(&nobody(), "PATCH", PRODUCT).answer().await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD,PUT,DELETE");
}

#[tokio::test]
async fn head_says_how_long_the_answer_is_and_brings_none_of_it() {
    for path in ["/.well-known/catalog", "/api/catalog/openapi.json", "/api/catalog/v1/nothing"] {
        let whole = ask(&nobody(), "GET", path).answer().await;
        let head = ask(&nobody(), "HEAD", path).answer().await;
        assert_eq!(head.status, whole.status, "{path}");
        assert!(head.body.is_empty() && !whole.body.is_empty(), "{path}");
        // A problem names its request, by an id that is always as long.
        assert_eq!(head.header("content-length"), whole.body.len().to_string(), "{path}");
    }
    ask(&nobody(), "POST", "/api/catalog/health").answer().await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_root_route_stands_outside_the_api() {
    let answer = ask(&nobody(), "GET", "/.well-known/catalog").answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, b"a catalog".as_slice()));
}

#[tokio::test]
async fn parts_of_path_and_query_arrive_decoded() {
    let path = "/api/catalog/v1/echo/a/b%20c?title=x+y";
    let answer = ask(&nobody(), "GET", path).answer().await;
    assert_eq!(answer.read::<String>(), "a/b c x y");
}

fn draft(content: &str) -> Asking {
    ask(&member(&["*"]), "POST", "/api/catalog/v1/products").header("content-type", content)
}

#[tokio::test]
async fn a_body_is_refused_for_what_is_wrong_with_it() {
    draft("text/plain").body("{}").answer().await.problem(415, "unsupported-media-type");
    draft("application/json").body("{").answer().await.problem(400, "malformed-body");
    let asking = draft("application/json").body(r#"{"title": 7}"#);
    let problem: Problem = asking.answer().await.problem(422, "invalid-body");
    assert_eq!(problem.errors[0].pointer.as_deref(), Some("#/title"));
    let large = json!({ "title": "x".repeat(3 << 20) });
    let asking = ask(&member(&["*"]), "POST", "/api/catalog/v1/products").json(large);
    asking.answer().await.problem(413, "too-large");
}

#[tokio::test]
async fn a_decision_of_the_domain_is_a_problem_of_the_service() {
    let asking = draft("application/json").body(r#"{"title": "  "}"#);
    let problem = asking.answer().await.problem(422, "title-length");
    assert_eq!(problem.title, "Title length");
    assert_eq!(problem.detail, "a title takes 1 to 120 characters");
    assert_eq!(problem.errors[0].pointer.as_deref(), Some("#/title"));
}

#[tokio::test]
async fn a_part_of_the_path_that_is_no_id_is_named() {
    let answer = ask(&member(&["*"]), "GET", "/api/catalog/v1/products/lamp").answer().await;
    let problem = answer.problem(400, "invalid-path");
    assert_eq!(problem.errors.len(), 1);
}

#[tokio::test]
async fn a_version_must_be_named_to_be_changed() {
    let asking = ask(&member(&["*"]), "PUT", PRODUCT).json(json!({ "title": "Lamp" }));
    asking.answer().await.problem(428, "precondition-required");
}

#[tokio::test]
async fn a_text_with_nul_is_refused_wherever_it_stands() {
    let editor = member(&["catalog:edit"]);
    let products = "/api/catalog/v1/products";
    let answer = ask(&editor, "POST", products).json(json!({ "title": "a\0b" })).answer().await;
    answer.problem(422, "invalid-body");
    let answer = ask(&editor, "GET", "/api/catalog/v1/echo/a%00b").answer().await;
    answer.problem(400, "invalid-path");
    let answer = ask(&editor, "GET", "/api/catalog/v1/echo/a?title=%00").answer().await;
    assert_eq!(answer.problem(400, "invalid-query").errors[0].parameter.as_deref(), Some("title"));
}

#[tokio::test]
async fn a_collection_may_be_asked_for_as_clients_of_vault_do() {
    let answer = ask(&nobody(), "LIST", "/.well-known/catalog").answer().await;
    assert_eq!((answer.status, &*answer.body), (200, &b"a catalog"[..]));
    ask(&nobody(), "LIST", "/api/catalog/v1/mine").answer().await.problem(401, "unauthenticated");
    ask(&nobody(), "LISTS", "/.well-known/catalog")
        .answer()
        .await
        .problem(405, "method-not-allowed");
}
