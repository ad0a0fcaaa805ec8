//! Groups of a directory, and the roles that hang on them. Who is in a group is the directory's to
//! say; what that means is decided here.

use crate::permission::within;
use crate::refused::named;
use crate::{Roles, View, bindings, store};
use identity_contract::RoleId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    GroupRolesMax = 422, "at most 50 roles hang on a group"
}

pub fn router() -> Router {
    Router::new()
        .route("/groups", get(list))
        .route("/groups/{id}", get(show))
        .route("/groups/{id}/roles", put(set_roles))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub id: Uuid,
    pub display_name: String,
    pub external_id: Option<String>,
    pub members: i64,
    pub role_ids: Vec<RoleId>,
    pub created_at: Time,
    pub updated_at: Time,
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Group>> {
    store::groups::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<Uuid>) -> Result<Json<Group>> {
    store::groups::find(by.db(), id).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hung {
    /// All roles of the group from now on.
    role_ids: Vec<RoleId>,
}

/// Every member gains and loses by it at once.
async fn set_roles(
    by: Allowed<Roles>,
    Path(id): Path<Uuid>,
    Json(hung): Json<Hung>,
) -> Result<Json<Group>> {
    bindings::not_for_an_organisation(&by)?;
    if hung.role_ids.len() > 50 {
        return Err(GroupRolesMax.at("role_ids").into());
    }
    let old = store::groups::find(by.db(), id).await?;
    // Taken away as well as given.
    for role in hung.role_ids.iter().chain(&old.role_ids) {
        let role = store::roles::find(by.db(), *role).await?;
        within(by.principal(), &role.permissions)?;
    }
    let write = store::groups::set_roles(id, &hung.role_ids, by.now());
    by.commit(named(write)).await?;
    store::groups::find(by.db(), id).await.map(Json)
}
