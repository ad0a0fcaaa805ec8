//! What other components ask: who somebody is, to write to them or to show them beside something.
//! The routes are there for nobody else.

use crate::fields::Link;
use crate::own::{Profile, Standing};
use crate::visibility::Viewer;
use crate::{shown::Shown, store};
use identity_contract::UserId;
use nexus_sdk::prelude::*;

nexus_sdk::callers! {
    Anyone = ["*"]
}

nexus_sdk::refusals! {
    TooMany = 422, "at most 100 profiles are asked for at once"
}

const ASKED_MAX: usize = 100;

pub fn router() -> Router {
    Router::new()
        .route("/internal/profiles/{user}", get(show))
        .route("/internal/profiles/find", post(find))
}

/// What a service needs to speak to somebody: all of it, whoever may see it.
#[derive(Serialize, JsonSchema)]
struct Known {
    user: UserId,
    active: bool,
    handle: Option<String>,
    display_name: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    links: Vec<Link>,
    verified: bool,
}

impl From<Profile> for Known {
    fn from(profile: Profile) -> Self {
        Self {
            user: profile.user_id,
            active: profile.status == Standing::Active,
            handle: profile.handle,
            display_name: profile.display_name,
            locale: profile.locale,
            time_zone: profile.time_zone,
            links: profile.links,
            verified: profile.verified_at.is_some(),
        }
    }
}

async fn show(by: Called<Anyone>, Path(user): Path<UserId>) -> Result<Json<Known>> {
    let found = store::profiles::find(by.db(), user).await?;
    let found = found.filter(|profile| profile.status != Standing::Erased);
    Ok(Json(found.ok_or(standard::NotFound)?.into()))
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    users: Vec<UserId>,
}

/// As everybody sees them, for lists; who is not there is left out.
#[derive(Serialize, JsonSchema)]
struct Found {
    items: Vec<Shown>,
}

async fn find(by: Called<Anyone>, Json(question): Json<Question>) -> Result<Json<Found>> {
    if question.users.len() > ASKED_MAX {
        return Err(TooMany.at("users").into());
    }
    let found = store::profiles::several(by.db(), &question.users).await?;
    let items = found.into_iter().map(|profile| Shown::to(Viewer::Anybody, profile)).collect();
    Ok(Json(Found { items }))
}
