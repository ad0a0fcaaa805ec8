//! Roles: named sets of permissions, built in or a tenant's or organisation's own.

use crate::permission::{self, within};
use crate::refused::named;
use crate::{Roles, View, organisations, store};
use identity_contract::users::RoleChanged;
use identity_contract::{OrganisationId, RoleId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RoleName = 422, "a role's name takes 1 to 63 of a-z, 0-9 and dash and begins with a letter";
    RoleDescription = 422, "a description takes at most 500 characters";
    RoleBuiltIn = 409, "this role is built in and the same everywhere"
}

pub fn router() -> Router {
    Router::new()
        .route("/roles", get(list).post(create))
        .route("/roles/{id}", get(show).put(edit).delete(remove))
        .route("/organisations/{id}/roles", get(list_of).post(create_of))
        .route("/organisations/{id}/roles/{role}", put(edit_of).delete(remove_of))
}

/// Where a role can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Tenant,
    Organisation,
}

impl ToParam for Scope {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    pub description: String,
    pub scope: Scope,
    /// The one organisation that has it; null for roles of the tenant, and for those that all
    /// organisations share.
    pub organisation_id: Option<OrganisationId>,
    pub permissions: Vec<String>,
    pub built_in: bool,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    #[serde(default)]
    description: String,
    permissions: Vec<String>,
    /// `organisation` makes a role that every organisation of the tenant can give.
    scope: Option<Scope>,
}

impl Draft {
    fn check(self, by: &Ctx, organisation: Option<OrganisationId>) -> Result<Role, Refusal> {
        let letters = |c| matches!(c, 'a'..='z' | '0'..='9' | '-');
        let fits = (1..=63).contains(&self.name.len())
            && self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.chars().all(letters);
        if !fits {
            return Err(RoleName.at("name"));
        }
        if self.description.chars().count() > 500 {
            return Err(RoleDescription.at("description"));
        }
        let permissions = permission::all(&self.permissions)?;
        within(by.principal(), &permissions)?;
        let scope = match organisation {
            Some(_) => Scope::Organisation,
            None => self.scope.unwrap_or(Scope::Tenant),
        };
        Ok(Role {
            id: by.new_id(),
            name: self.name,
            description: self.description,
            scope,
            organisation_id: organisation,
            permissions,
            built_in: false,
            version: 1,
            created_at: by.now(),
            updated_at: by.now(),
        })
    }
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    scope: Option<Scope>,
}

/// The tenant's own and the built-in ones, without those of single organisations.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Role>> {
    store::roles::list(by.db(), search.scope, None, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<RoleId>) -> Result<Tagged<Json<Role>>> {
    let role = store::roles::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(role.version), Json(role)))
}

async fn create(by: Allowed<Roles>, Json(draft): Json<Draft>) -> Result<Created<Role>> {
    crate::bindings::not_for_an_organisation(&by)?;
    insert(&by, draft.check(&by, None)?).await
}

async fn edit(
    by: Allowed<Roles>,
    Path(id): Path<RoleId>,
    version: IfMatch,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Role>>> {
    crate::bindings::not_for_an_organisation(&by)?;
    let old = store::roles::find(by.db(), id).await?;
    replace(&by, old, version, draft).await
}

async fn remove(by: Allowed<Roles>, Path(id): Path<RoleId>) -> Result<NoContent> {
    crate::bindings::not_for_an_organisation(&by)?;
    let old = store::roles::find(by.db(), id).await?;
    take_away(&by, old).await
}

/// What can be given in an organisation: its own roles and those that all share.
async fn list_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    cursor: Cursor,
) -> Result<Page<Role>> {
    organisations::seen(&by, id).await?;
    store::roles::list(by.db(), Some(Scope::Organisation), Some(id), &cursor).await
}

async fn create_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    Json(draft): Json<Draft>,
) -> Result<Created<Role>> {
    organisations::administered(&by, id).await?;
    insert(&by, draft.check(&by, Some(id))?).await
}

async fn edit_of(
    by: SignedIn,
    Path((id, role)): Path<(OrganisationId, RoleId)>,
    version: IfMatch,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Role>>> {
    organisations::administered(&by, id).await?;
    let old = of_organisation(&by, id, role).await?;
    replace(&by, old, version, draft).await
}

async fn remove_of(
    by: SignedIn,
    Path((id, role)): Path<(OrganisationId, RoleId)>,
) -> Result<NoContent> {
    organisations::administered(&by, id).await?;
    let old = of_organisation(&by, id, role).await?;
    take_away(&by, old).await
}

async fn of_organisation(by: &Ctx, organisation: OrganisationId, id: RoleId) -> Result<Role> {
    let role = store::roles::find(by.db(), id).await?;
    match role.organisation_id == Some(organisation) {
        true => Ok(role),
        false => Err(standard::NotFound.into()),
    }
}

async fn insert(by: &Ctx, role: Role) -> Result<Created<Role>> {
    let write = store::roles::insert(&role, &by.principal().subject);
    by.commit(named(write)).await?;
    Ok(Created(role))
}

/// Who edits a role holds what it gave as well as what it gives.
async fn replace(
    by: &Ctx,
    old: Role,
    version: IfMatch,
    draft: Draft,
) -> Result<Tagged<Json<Role>>> {
    if old.built_in {
        return Err(RoleBuiltIn.into());
    }
    version.allow(&Etag::of_version(old.version))?;
    within(by.principal(), &old.permissions)?;
    let new = draft.check(by, old.organisation_id)?;
    let new = Role { id: old.id, scope: old.scope, created_at: old.created_at, ..new };
    let write = store::roles::edit(&new, old.version, by.now(), &by.principal().subject);
    by.commit([named(write), emit(RoleChanged { id: old.id })]).await?;
    let role = store::roles::find(by.db(), old.id).await?;
    Ok(Tagged(Etag::of_version(role.version), Json(role)))
}

async fn take_away(by: &Ctx, old: Role) -> Result<NoContent> {
    if old.built_in {
        return Err(RoleBuiltIn.into());
    }
    within(by.principal(), &old.permissions)?;
    by.commit(named(store::roles::remove(old.id, by.now()))).await
}

/// Holders whom the platform is told of in one commit.
const HOLDERS_MAX: i32 = 500;

/// Goes on until the platform knows of every holder of an edited role.
pub async fn on_changed(ctx: Ctx, changed: RoleChanged) -> Result<NoContent> {
    let at = ctx.now();
    if !store::roles::has_stale_holders(ctx.db(), changed.id, at).await? {
        return ctx.commit([]).await;
    }
    let next = store::roles::project_holders(changed.id, at, HOLDERS_MAX);
    ctx.commit([named(next), emit(changed)]).await
}
