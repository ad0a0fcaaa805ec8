//! Tenants, what they allow, and how much. Tenants are the first tenant's affair, so statements
//! about them name the one that is meant, and not the one that asks.

use crate::tenants::{Draft, Measure, Policy, PolicyDraft, Quota, Tenant};
use identity_contract::{BindingId, UserId};
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Tenant>> {
    let all = sql!("select * from users.tenant").across_tenants();
    db.page(all, cursor, ascending(["id"])).await
}

pub async fn find(db: &Db, id: TenantId) -> Result<Tenant> {
    db.one(sql!("select * from users.tenant where id = {id}").across_tenants()).await
}

pub fn put(id: TenantId, seen: Option<i64>, draft: &Draft, at: Time) -> Write {
    let d = draft;
    sql!("select users.put_tenant({id}, {seen}, {d.slug}, {d.name}, {d.hosts}, {d.status}, {at})")
        .across_tenants()
}

/// Also tells of it in that tenant, for which an event of its own id is needed.
pub fn appoint(
    id: TenantId,
    account: UserId,
    email: &str,
    display_name: Option<&str>,
    (binding, event): (BindingId, Uuid),
    at: Time,
    by: &str,
) -> Write {
    sql!(
        "select users.appoint(
           {id}, {account}, {email}, {display_name}, {binding}, {event}, {at}, {by})"
    )
    .across_tenants()
}

/// What the tenant allows; one that has never said anything allows what is usual.
pub async fn policy(db: &Db) -> Result<Policy> {
    let one = sql!(
        "select coalesce(p.registration, 'open') as registration,
           coalesce(p.email_domains, '{{}}') as email_domains,
           coalesce(p.default_role_id, '01890000-0000-7000-8000-00000000a004')
             as default_role_id,
           coalesce(p.mfa_role_ids::text[], '{{}}') as mfa_role_ids,
           coalesce(p.organisations_open, true) as organisations_open,
           coalesce(p.version, 1) as version
         from (select {tenant}::uuid as id) t left join users.policy p on p.tenant_id = t.id"
    );
    db.one(one).await
}

pub fn put_policy(seen: i64, draft: &PolicyDraft, at: Time, by: &str) -> Write {
    let d = draft;
    sql!(
        "select users.put_policy({tenant}, {seen}, {d.registration}, {d.email_domains},
           {d.default_role_id}, ({d.mfa_role_ids}::text[])::uuid[], {d.organisations_open}, {at},
           {by})"
    )
}

pub async fn quota(db: &Db, name: Measure) -> Result<Option<i64>> {
    let one = sql!("select amount from users.quota where tenant_id = {tenant} and name = {name}");
    db.optional(one).await
}

/// Accounts of the tenant that are not erased.
pub async fn accounts(db: &Db) -> Result<i64> {
    let count = sql!(
        "select count(*) from users.account where tenant_id = {tenant} and status <> 'erased'"
    );
    db.one(count).await
}

/// All quotas of a tenant, those that do not bound included.
pub async fn quotas_of(db: &Db, id: TenantId) -> Result<Vec<Quota>> {
    let all = sql!(
        "select m.name, q.amount, case when m.name = 'users' then (
             select count(*) from users.account a
             where a.tenant_id = {id} and a.status <> 'erased'
           ) end as used
         from unnest('{{users,storage_bytes,requests_per_day}}'::text[]) m (name)
         left join users.quota q on q.tenant_id = {id} and q.name = m.name order by m.name"
    );
    db.all(all.across_tenants()).await
}

pub fn put_quota(id: TenantId, name: Measure, amount: i64, at: Time, by: &str) -> Write {
    sql!(
        "insert into users.quota as q (tenant_id, name, amount, updated_at, updated_by)
         values ({id}, {name}, {amount}, {at}, {by})
         on conflict (tenant_id, name) do update
           set amount = excluded.amount, updated_at = excluded.updated_at,
             updated_by = excluded.updated_by"
    )
    .across_tenants()
}

pub fn lift_quota(id: TenantId, name: Measure) -> Write {
    sql!("delete from users.quota where tenant_id = {id} and name = {name}").across_tenants()
}
