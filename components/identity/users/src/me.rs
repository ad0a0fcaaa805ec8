//! One's own account.

use crate::accounts::{Changes, Person};
use crate::organisations::own_id;
use crate::refused::named;
use crate::{fields, store};
use identity_contract::OrganisationId;
use identity_contract::users::UserUpdated;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/me", get(show).patch(edit))
        .route("/me/permissions", get(permissions))
        .route("/me/organisations", get(organisations))
}

/// Where somebody belongs.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Belonging {
    pub id: OrganisationId,
    pub slug: String,
    pub name: String,
    pub joined_at: Time,
    /// What one may do for it besides, by the header `nexus-organisation`.
    pub permissions: Vec<String>,
}

async fn show(by: SignedIn) -> Result<Tagged<Json<Person>>> {
    let account = store::accounts::find(by.db(), own_id(&by)?).await?;
    Ok(account.tagged())
}

/// Another address goes by `user-auth`, which has it proven.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Empty clears it.
    display_name: Option<String>,
    /// Empty clears it.
    locale: Option<String>,
}

async fn edit(
    by: SignedIn,
    version: Option<IfMatch>,
    Json(edit): Json<Edit>,
) -> Result<Tagged<Json<Person>>> {
    by.in_person()?;
    let id = own_id(&by)?;
    let account = store::accounts::find(by.db(), id).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(account.version))?;
    }
    let changes = Changes {
        display_name: fields::or_clear(edit.display_name.as_deref(), fields::display_name)?,
        locale: fields::or_clear(edit.locale.as_deref(), fields::locale)?,
        ..Changes::default()
    };
    let write = store::accounts::edit(id, Some(account.version), &changes, by.now());
    by.commit([named(write), emit(UserUpdated { id })]).await?;
    let account = store::accounts::find(by.db(), id).await?;
    Ok(account.tagged())
}

/// What the credential that asks may do, here and now.
#[derive(Serialize, JsonSchema)]
struct May {
    permissions: Vec<String>,
    /// The organisation acted for.
    organisation: Option<String>,
}

async fn permissions(by: SignedIn) -> Result<Json<May>> {
    let principal = by.principal();
    let mut permissions = principal.permissions.clone();
    permissions.sort();
    permissions.dedup();
    Ok(Json(May { permissions, organisation: principal.organisation.clone() }))
}

async fn organisations(by: SignedIn) -> Result<Json<Vec<Belonging>>> {
    store::organisations::of_user(by.db(), own_id(&by)?).await.map(Json)
}
