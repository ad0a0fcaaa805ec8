//! What a viewer may see: up to which age, and where they are. Knows what the profiles of a
//! household say of themselves; refuses to know whether the right person sits before the screen,
//! which is between them, a PIN and `profiles`.

use crate::store;
use identity_contract::profiles::SubprofileId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ProfileUnknown = 404, "there is no profile of yours with this id"
}

/// What every question of a viewer may say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Who {
    /// A profile of one's household.
    pub profile: Option<SubprofileId>,
    /// BCP 47.
    pub language: Option<String>,
}

/// What is shown to somebody.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of age.
    pub years: i32,
    /// None where nobody knows.
    pub territory: Option<String>,
}

/// More than anything is made for.
const EVERYTHING: i32 = 100;

#[derive(Deserialize)]
struct Profile {
    maturity_max: i32,
}

/// # Errors
/// 401 for a profile of somebody who has not signed in, 404 for one that is not theirs.
pub async fn limits(by: &Public, who: &Who, headers: &HeaderMap) -> Result<Limits> {
    let settings = store::settings::of(by.db()).await?;
    let territory = settings.territory_of(headers);
    let years = match who.profile {
        Some(_) if !by.principal().is_authenticated() => {
            return Err(standard::Unauthenticated.into());
        }
        Some(profile) => profile_limit(profile).await?,
        None if by.principal().is_authenticated() => EVERYTHING,
        None => settings.visitor_maturity.years(),
    };
    Ok(Limits { years, territory })
}

/// Asked in the voice of whoever watches, who sees their own household only.
async fn profile_limit(id: SubprofileId) -> Result<i32> {
    let path = format!("/api/profiles/v1/me/subprofiles/{id}");
    let reply = call("profiles").get(path).send().await?;
    if reply.status.is_client_error() {
        return Err(ProfileUnknown.into());
    }
    if !reply.status.is_success() {
        let failure = Failure::msg(format!("profiles answered {}", reply.status));
        return Err(Error::unavailable(failure));
    }
    let profile: Profile = serde_json::from_slice(&reply.body).context("read a profile")?;
    Ok(profile.maturity_max)
}
