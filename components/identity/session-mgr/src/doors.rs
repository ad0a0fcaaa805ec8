//! Every route against everybody who may not pass, read from the service itself: nobody, a person
//! without the permission, and, for what components ask, everybody who is none of them.

use crate::service;
use nexus_sdk::axum::extract::Request;
use nexus_sdk::prelude::*;
use nexus_sdk::{Door, Kind, Principal, Route};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn somebody(kind: Kind) -> Principal {
    Principal {
        subject: "ada".into(),
        kind,
        tenant: Uuid::from_u128(1).into(),
        organisation: None,
        permissions: vec!["other:edit".into()],
        session: None,
        auth_time: None,
        acr: None,
    }
}

/// The status for `who`, called by `caller` if by anybody.
async fn ask(route: &Route, who: Kind, caller: Option<&str>) -> u16 {
    let mut path = String::new();
    for part in route.path.split_inclusive('/') {
        match part.strip_prefix('{') {
            Some(_) if part.ends_with('/') => path += &format!("{ID}/"),
            Some(_) => path += ID,
            None => path += part,
        }
    }
    let mut request = Request::builder().method(route.method).uri(path);
    request = request.header("nexus-principal", somebody(who).to_header());
    if let Some(caller) = caller {
        request = request.header("nexus-caller", caller);
    }
    service().call(request.body(Body::empty()).unwrap()).await.status().as_u16()
}

#[tokio::test]
async fn no_route_lets_in_who_may_not_pass() {
    let mut guarded = 0;
    for route in service().routes() {
        let (nobody, member) = (Kind::Anonymous, Kind::User);
        let refused: &[(Kind, Option<&str>, u16)] = match route.door() {
            Door::Allowed(_) => &[(nobody, None, 401), (member, None, 403)],
            Door::SignedIn => &[(nobody, None, 401), (Kind::Service, None, 403)],
            Door::Called(_) => &[(nobody, None, 404), (member, Some("thief"), 404)],
            Door::Public | Door::Open => continue,
        };
        for (who, caller, status) in refused {
            let told = ask(route, *who, *caller).await;
            assert_eq!(told, *status, "{} {} for {who:?} by {caller:?}", route.method, route.path);
        }
        guarded += 1;
    }
    assert_eq!(guarded, 16);
}
