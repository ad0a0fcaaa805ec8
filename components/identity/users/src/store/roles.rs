//! Roles and who has them.

use crate::bindings::{Grant, Held};
use crate::roles::{Role, Scope};
use identity_contract::{BindingId, OrganisationId, RoleId, UserId};
use nexus_sdk::prelude::*;

/// A role that can be seen from the tenant.
pub async fn find(db: &Db, id: RoleId) -> Result<Role> {
    let one = sql!(
        "select r.*, r.tenant_id = users.everywhere() as built_in from users.role r
         where r.tenant_id in ({tenant}, users.everywhere()) and r.id = {id}"
    );
    db.one(one).await
}

/// Roles by name, those of the tenant alone.
pub async fn named(db: &Db, names: &[String]) -> Result<Vec<Role>> {
    let some = sql!(
        "select r.*, r.tenant_id = users.everywhere() as built_in from users.role r
         where r.tenant_id in ({tenant}, users.everywhere()) and r.scope = 'tenant'
           and r.name = any ({names}) order by r.id limit 100"
    );
    db.all(some).await
}

/// What everybody has from the beginning.
pub async fn first(db: &Db) -> Result<Role> {
    let one = sql!(
        "select r.*, r.tenant_id = users.everywhere() as built_in from users.role r
         where r.tenant_id in ({tenant}, users.everywhere()) and r.id = coalesce(
           (select p.default_role_id from users.policy p where p.tenant_id = {tenant}),
           '01890000-0000-7000-8000-00000000a004')"
    );
    db.one(one).await
}

/// Roles that can be given somewhere: in the tenant, or in one organisation or any.
pub async fn list(
    db: &Db,
    scope: Option<Scope>,
    organisation: Option<OrganisationId>,
    cursor: &Cursor,
) -> Result<Page<Role>> {
    let all = sql!(
        "select r.*, r.tenant_id = users.everywhere() as built_in from users.role r
         where r.tenant_id in ({tenant}, users.everywhere())
           and ({scope}::text is null or r.scope = {scope})
           and (r.organisation_id is null or r.organisation_id = {organisation})"
    );
    db.page(all, cursor, ascending(["id"])).await
}

pub fn insert(role: &Role, by: &str) -> Write {
    sql!(
        "insert into users.role (tenant_id, id, organisation_id, scope, name, description,
           permissions, version, created_at, updated_at, updated_by)
         values ({tenant}, {role.id}, {role.organisation_id}, {role.scope}, {role.name},
           {role.description}, {role.permissions}, {role.version}, {role.created_at},
           {role.updated_at}, {by})"
    )
}

pub fn edit(role: &Role, seen: i64, at: Time, by: &str) -> Write {
    sql!(
        "select users.edit_role({tenant}, {role.id}, {seen}, {role.name}, {role.description},
           {role.permissions}, {at}, {by})"
    )
}

pub fn remove(id: RoleId, at: Time) -> Write {
    sql!("select users.remove_role({tenant}, {id}, {at})")
}

/// Whether a holder is left that the platform knows something older of.
pub async fn has_stale_holders(db: &Db, id: RoleId, at: Time) -> Result<bool> {
    let any = sql!("select exists (select from users.stale_holders({tenant}, {id}, {at}, 1))");
    db.one(any).await
}

pub fn project_holders(id: RoleId, at: Time, rows_max: i32) -> Write {
    sql!("select users.project_holders({tenant}, {id}, {at}, {rows_max})")
}

pub fn grant(g: &Grant, at: Time, by: &str) -> Write {
    sql!(
        "select users.grant_role({tenant}, {g.id}, {g.user}, {g.role}, {g.role_version},
           {g.organisation}, {g.expires_at}, {at}, {by})"
    )
}

pub fn revoke(id: BindingId, at: Time) -> Write {
    sql!("select users.revoke_role({tenant}, {id}, {at})")
}

pub async fn binding(db: &Db, id: BindingId) -> Result<Held> {
    let one = sql!(
        "select b.*, r.name as role_name, r.permissions from users.binding b
         join users.role r on r.id = b.role_id
           and r.tenant_id in ({tenant}, users.everywhere())
         where b.tenant_id = {tenant} and b.id = {id}"
    );
    db.one(one).await
}

/// Who has what, in the tenant or in one organisation.
pub async fn bindings(
    db: &Db,
    user: Option<UserId>,
    role: Option<RoleId>,
    organisation: Option<OrganisationId>,
    cursor: &Cursor,
) -> Result<Page<Held>> {
    let all = sql!(
        "select b.*, r.name as role_name, r.permissions from users.binding b
         join users.role r on r.id = b.role_id
           and r.tenant_id in ({tenant}, users.everywhere())
         where b.tenant_id = {tenant}
           and ({user}::uuid is null or b.user_id = {user})
           and ({role}::uuid is null or b.role_id = {role})
           and ({organisation}::uuid is null or b.organisation_id = {organisation})"
    );
    db.page(all, cursor, ascending(["id"])).await
}

/// What somebody may do by definition: in the tenant, or for an organisation besides.
pub async fn permissions_of(
    db: &Db,
    user: UserId,
    organisation: Option<OrganisationId>,
    at: Time,
) -> Result<Vec<String>> {
    let all = sql!(
        "select coalesce((
           select users.permissions_of({tenant}, a.id, null, {at})
             || case when m.user_id is null then '{{}}'::text[]
                else users.permissions_of({tenant}, a.id, {organisation}, {at}) end
           from users.account a
           left join users.membership m on m.tenant_id = a.tenant_id and m.user_id = a.id
             and m.organisation_id = {organisation}
           where a.tenant_id = {tenant} and a.id = {user} and a.status = 'active'
         ), '{{}}')"
    );
    db.one(all).await
}

/// The role that somebody has there.
pub async fn held(
    db: &Db,
    user: UserId,
    role: RoleId,
    organisation: Option<OrganisationId>,
) -> Result<Held> {
    let one = sql!(
        "select b.*, r.name as role_name, r.permissions from users.binding b
         join users.role r on r.id = b.role_id
           and r.tenant_id in ({tenant}, users.everywhere())
         where b.tenant_id = {tenant} and b.user_id = {user} and b.role_id = {role}
           and b.organisation_id is not distinct from {organisation}"
    );
    db.one(one).await
}

/// Takes away what is over, in all tenants.
pub fn end_bindings(at: Time, rows_max: i32) -> Write {
    sql!("select users.end_bindings({at}, {rows_max})").across_tenants()
}
