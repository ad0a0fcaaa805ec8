//! Who has which role, given and taken by somebody who holds as much; and the question whether
//! somebody may do something.

use crate::permission::within;
use crate::refused::named;
use crate::roles::{Role, Scope};
use crate::{Check, Roles, View, organisations, store};
use identity_contract::users::{RoleGranted, RoleRevoked};
use identity_contract::{BindingId, OrganisationId, RoleId, UserId};
use nexus_sdk::Principal;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    UnknownRole = 422, "there is no role of this name";
    ActingForOrganisation = 403, "act for yourself to change what somebody may do in the tenant";
    BindingEnd = 422, "a role ends in the future";
    PermissionAsked = 422, "ask for one permission, written service:verb"
}

pub fn router() -> Router {
    Router::new()
        .route("/bindings", get(list).post(create))
        .route("/bindings/{id}", get(show).delete(remove))
        .route("/organisations/{id}/bindings", get(list_of).post(create_of))
        .route("/organisations/{id}/bindings/{binding}", delete(remove_of))
        .route("/check", post(check))
}

/// A role on its way to somebody.
pub struct Grant {
    pub id: BindingId,
    pub user: UserId,
    pub role: RoleId,
    /// The version whose permissions the giver was found to hold.
    pub role_version: i64,
    pub organisation: Option<OrganisationId>,
    pub expires_at: Option<Time>,
}

/// A role that somebody has.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Held {
    pub id: BindingId,
    pub user_id: UserId,
    pub role_id: RoleId,
    pub role_name: String,
    /// Null in the tenant.
    pub organisation_id: Option<OrganisationId>,
    pub permissions: Vec<String>,
    pub expires_at: Option<Time>,
    pub created_at: Time,
    pub created_by: String,
}

/// Tenant-wide power is not handed on with what an organisation lends: whoever acts for one holds
/// more than they do by themselves.
pub fn not_for_an_organisation(by: &Ctx) -> Result<(), Refusal> {
    match by.principal().organisation {
        Some(_) => Err(ActingForOrganisation),
        None => Ok(()),
    }
}

/// Proves that whoever asks may give or take `role` there.
pub fn may_give(
    by: &Ctx,
    role: &Role,
    organisation: Option<OrganisationId>,
) -> Result<(), Refusal> {
    if organisation.is_none() {
        not_for_an_organisation(by)?;
    }
    within(by.principal(), &role.permissions)
}

/// The roles of the tenant with these names.
pub async fn roles_named(by: &Ctx, names: &[String]) -> Result<Vec<Role>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let roles = store::roles::named(by.db(), names).await?;
    match names.iter().position(|name| !roles.iter().any(|role| role.name == *name)) {
        Some(at) => Err(UnknownRole.at(format!("roles/{at}")).into()),
        None => Ok(roles),
    }
}

/// Gives a role and tells of it.
pub fn grant(
    by: &Ctx,
    user: UserId,
    role: &Role,
    organisation: Option<OrganisationId>,
    expires_at: Option<Time>,
) -> [Write; 2] {
    let id = by.new_id();
    let giver = &by.principal().subject;
    let grant =
        Grant { id, user, role: role.id, role_version: role.version, organisation, expires_at };
    let told = RoleGranted { user, role: role.id, organisation, by: giver.clone() };
    [named(store::roles::grant(&grant, by.now(), giver)), emit(told)]
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    user_id: Option<UserId>,
    role_id: Option<RoleId>,
    organisation_id: Option<OrganisationId>,
}

async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Held>> {
    let Search { user_id, role_id, organisation_id } = search;
    store::roles::bindings(by.db(), user_id, role_id, organisation_id, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<BindingId>) -> Result<Json<Held>> {
    store::roles::binding(by.db(), id).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    user_id: UserId,
    role_id: RoleId,
    expires_at: Option<Time>,
}

async fn create(by: Allowed<Roles>, Json(draft): Json<Draft>) -> Result<Created<Held>> {
    give(&by, draft, None).await
}

async fn remove(by: Allowed<Roles>, Path(id): Path<BindingId>) -> Result<NoContent> {
    let held = store::roles::binding(by.db(), id).await?;
    take(&by, held).await
}

async fn list_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    cursor: Cursor,
) -> Result<Page<Held>> {
    organisations::seen(&by, id).await?;
    store::roles::bindings(by.db(), None, None, Some(id), &cursor).await
}

async fn create_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    Json(draft): Json<Draft>,
) -> Result<Created<Held>> {
    organisations::administered(&by, id).await?;
    store::organisations::member(by.db(), id, draft.user_id).await?;
    give(&by, draft, Some(id)).await
}

async fn remove_of(
    by: SignedIn,
    Path((id, binding)): Path<(OrganisationId, BindingId)>,
) -> Result<NoContent> {
    organisations::administered(&by, id).await?;
    let held = store::roles::binding(by.db(), binding).await?;
    if held.organisation_id != Some(id) {
        return Err(standard::NotFound.into());
    }
    take(&by, held).await
}

async fn give(
    by: &Ctx,
    draft: Draft,
    organisation: Option<OrganisationId>,
) -> Result<Created<Held>> {
    if draft.expires_at.is_some_and(|end| end <= by.now()) {
        return Err(BindingEnd.at("expires_at").into());
    }
    let role = store::roles::find(by.db(), draft.role_id).await?;
    let wanted = if organisation.is_some() { Scope::Organisation } else { Scope::Tenant };
    if role.scope != wanted || role.organisation_id.is_some_and(|own| Some(own) != organisation) {
        return Err(crate::refused::RoleScope.at("role_id").into());
    }
    may_give(by, &role, organisation)?;
    let writes = grant(by, draft.user_id, &role, organisation, draft.expires_at);
    by.commit(writes).await?;
    let held = store::roles::held(by.db(), draft.user_id, role.id, organisation).await?;
    Ok(Created(held))
}

async fn take(by: &Ctx, held: Held) -> Result<NoContent> {
    if held.organisation_id.is_none() {
        not_for_an_organisation(by)?;
    }
    within(by.principal(), &held.permissions)?;
    let told = RoleRevoked {
        user: held.user_id,
        role: held.role_id,
        organisation: held.organisation_id,
        by: by.principal().subject.clone(),
    };
    by.commit([named(store::roles::revoke(held.id, by.now())), emit(told)]).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// An account; absent is whoever asks, with the credential that asks.
    subject: Option<UserId>,
    permission: String,
    organisation: Option<OrganisationId>,
}

#[derive(Serialize, JsonSchema)]
struct Verdict {
    allowed: bool,
}

/// About oneself everybody may ask; about others, with `users:check`.
async fn check(by: SignedIn, Json(asked): Json<Question>) -> Result<Json<Verdict>> {
    let word = &asked.permission;
    if word.contains('*') || !crate::permission::is_permission(word) {
        return Err(PermissionAsked.at("permission").into());
    }
    let own = asked.organisation.map(|id| id.to_string());
    let Some(subject) = asked.subject else {
        let there = own.is_none() || own == by.principal().organisation;
        return Ok(Json(Verdict { allowed: there && by.principal().may(word) }));
    };
    if !by.principal().may(<Check as nexus_sdk::Permission>::NAME) {
        return Err(standard::Forbidden.because("this needs users:check").into());
    }
    let held = store::roles::permissions_of(by.db(), subject, asked.organisation, by.now()).await?;
    let subject = Principal { permissions: held, ..by.principal().clone() };
    Ok(Json(Verdict { allowed: subject.may(word) }))
}
