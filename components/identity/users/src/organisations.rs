//! Organisations and who belongs to them. Inside one, its owners decide (`users:organisation`,
//! held for it); from outside, whoever administers the tenant's accounts.

use crate::refused::named;
use crate::{Manage, Organisation as MayDecide, View, bindings, fields, store};
use identity_contract::users::{
    MemberAdded, MemberRemoved, OrganisationArchived, OrganisationCreated, OrganisationRenamed,
};
use identity_contract::{OrganisationId, RoleId, UserId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    OrganisationName = 422, "a name takes 1 to 120 characters on one line";
    OrganisationsClosed = 403, "in this tenant administrators make organisations";
    NoAccount = 403, "this credential stands for no account of this tenant"
}

pub fn router() -> Router {
    Router::new()
        .route("/organisations", get(list).post(create))
        .route("/organisations/{id}", get(show).patch(edit).delete(archive))
        .route("/organisations/{id}/members", get(members).post(add))
        .route("/organisations/{id}/members/{user}", delete(remove))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Organisation {
    pub id: OrganisationId,
    pub slug: String,
    pub name: String,
    pub status: Status,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Archived,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub user_id: UserId,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub joined_at: Time,
    /// Names of the roles there.
    pub roles: Vec<String>,
    /// What the member may do for the organisation.
    pub permissions: Option<Vec<String>>,
}

/// The account behind a credential.
pub fn own_id(by: &Ctx) -> Result<UserId, Refusal> {
    by.principal().subject.parse().map_err(|_| NoAccount)
}

/// Proves that whoever asks may see the organisation: its members, and the tenant's viewers.
///
/// # Errors
/// 404 otherwise.
pub async fn seen(by: &Ctx, id: OrganisationId) -> Result<Organisation> {
    let organisation = store::organisations::find(by.db(), id).await?;
    if by.principal().may(View::NAME) {
        return Ok(organisation);
    }
    let own = own_id(by).map_err(|_| standard::NotFound)?;
    store::organisations::member(by.db(), id, own).await?;
    Ok(organisation)
}

/// Proves that whoever asks decides about the organisation: acting for it with
/// `users:organisation`, or for the tenant with `users:manage`.
///
/// # Errors
/// 404 to those who do not belong to it, 403 to members.
pub async fn administered(by: &Ctx, id: OrganisationId) -> Result<Organisation> {
    let principal = by.principal();
    let acting = principal.organisation.as_deref() == Some(id.to_string().as_str());
    let tenant = principal.organisation.is_none() && principal.may(Manage::NAME);
    if !tenant && !(acting && principal.may(MayDecide::NAME)) {
        seen(by, id).await?;
        let words = "act for the organisation (nexus-organisation) with users:organisation";
        return Err(standard::Forbidden.because(words).into());
    }
    let organisation = store::organisations::find(by.db(), id).await?;
    match organisation.status {
        Status::Active => Ok(organisation),
        Status::Archived => Err(crate::refused::OrganisationGone.into()),
    }
}

fn name(text: &str) -> Result<String, Refusal> {
    fields::display_name(text).map_err(|_| OrganisationName.at("name"))
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Organisation>> {
    store::organisations::list(by.db(), &cursor).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    /// In addresses; unique in the tenant.
    slug: String,
}

/// Whoever makes it is its first owner.
async fn create(by: SignedIn, Json(draft): Json<Draft>) -> Result<Created<Organisation>> {
    by.in_person()?;
    let founder = own_id(&by)?;
    let policy = store::tenants::policy(by.db()).await?;
    if !policy.organisations_open && !by.principal().may(Manage::NAME) {
        return Err(OrganisationsClosed.into());
    }
    let (name, slug) = (name(&draft.name)?, fields::slug(&draft.slug)?);
    let (id, binding) = (by.new_id(), by.new_id());
    let found = store::organisations::found(id, &slug, &name, founder, binding, by.now());
    by.commit([
        named(found),
        emit(OrganisationCreated { id, name }),
        emit(MemberAdded { organisation: id, user: founder }),
    ])
    .await?;
    store::organisations::find(by.db(), id).await.map(Created)
}

async fn show(by: SignedIn, Path(id): Path<OrganisationId>) -> Result<Tagged<Json<Organisation>>> {
    let organisation = seen(&by, id).await?;
    Ok(Tagged(Etag::of_version(organisation.version), Json(organisation)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    name: Option<String>,
    slug: Option<String>,
}

async fn edit(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    version: Option<IfMatch>,
    Json(edit): Json<Edit>,
) -> Result<Tagged<Json<Organisation>>> {
    let old = administered(&by, id).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(old.version))?;
    }
    let name = edit.name.as_deref().map(name).transpose()?.unwrap_or(old.name);
    let slug = edit.slug.as_deref().map(fields::slug).transpose()?.unwrap_or(old.slug);
    let write = store::organisations::rename(id, old.version, &name, &slug, by.now());
    by.commit([named(write), emit(OrganisationRenamed { id, name })]).await?;
    let organisation = store::organisations::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(organisation.version), Json(organisation)))
}

async fn archive(by: SignedIn, Path(id): Path<OrganisationId>) -> Result<NoContent> {
    let old = administered(&by, id).await?;
    let write = store::organisations::archive(id, old.version, by.now());
    by.commit([named(write), emit(OrganisationArchived { id })]).await
}

async fn members(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    cursor: Cursor,
) -> Result<Page<Member>> {
    seen(&by, id).await?;
    store::organisations::members(by.db(), id, &cursor).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    user_id: UserId,
    /// A role of the organisation; absent is `member`.
    role_id: Option<RoleId>,
}

/// The tenant's administrators put people in without asking; everybody else invites.
async fn add(
    by: Allowed<Manage>,
    Path(id): Path<OrganisationId>,
    Json(new): Json<NewMember>,
) -> Result<Created<Member>> {
    administered(&by, id).await?;
    by.commit(joining(&by, id, new.user_id, new.role_id).await?).await?;
    store::organisations::member(by.db(), id, new.user_id).await.map(Created)
}

/// The writes that make somebody a member with a role that whoever asks may give.
pub async fn joining(
    by: &Ctx,
    organisation: OrganisationId,
    user: UserId,
    role: Option<RoleId>,
) -> Result<Vec<Write>> {
    let role = store::roles::find(by.db(), role.unwrap_or_else(plain_member)).await?;
    bindings::may_give(by, &role, Some(organisation))?;
    Ok(joined(by, organisation, user, role.id, Some(role.version)))
}

/// The writes that make somebody a member.
pub fn joined(
    by: &Ctx,
    organisation: OrganisationId,
    user: UserId,
    role: RoleId,
    role_version: Option<i64>,
) -> Vec<Write> {
    let (binding, giver) = (by.new_id(), &by.principal().subject);
    let join = store::organisations::join(
        organisation,
        user,
        binding,
        role,
        role_version,
        by.now(),
        giver,
    );
    vec![named(join), emit(MemberAdded { organisation, user })]
}

/// The built-in role of those who merely belong (migration 0001).
pub fn plain_member() -> RoleId {
    Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_a012).into()
}

/// Members leave by themselves; whoever decides takes others out.
async fn remove(
    by: SignedIn,
    Path((id, user)): Path<(OrganisationId, UserId)>,
) -> Result<NoContent> {
    if own_id(&by).ok() != Some(user) {
        administered(&by, id).await?;
        let member = store::organisations::member(by.db(), id, user).await?;
        let held = member.permissions.unwrap_or_default();
        crate::permission::within(by.principal(), &held)?;
    }
    let leave = store::organisations::leave(id, user, by.now());
    by.commit([named(leave), emit(MemberRemoved { organisation: id, user })]).await
}
