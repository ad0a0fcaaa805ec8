//! Organisations, members and invitations.

use crate::invites::{Invite, Sealed};
use crate::me::Belonging;
use crate::organisations::{Member, Organisation};
use identity_contract::{BindingId, InviteId, OrganisationId, RoleId, UserId};
use nexus_sdk::prelude::*;

pub async fn find(db: &Db, id: OrganisationId) -> Result<Organisation> {
    db.one(sql!("select * from users.organisation where tenant_id = {tenant} and id = {id}")).await
}

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Organisation>> {
    let all =
        sql!("select * from users.organisation where tenant_id = {tenant} and status = 'active'");
    db.page(all, cursor, ascending(["id"])).await
}

pub fn found(
    id: OrganisationId,
    slug: &str,
    name: &str,
    founder: UserId,
    binding: BindingId,
    at: Time,
) -> Write {
    sql!(
        "select users.found_organisation(
           {tenant}, {id}, {slug}, {name}, {founder}, {binding}, {at})"
    )
}

pub fn rename(id: OrganisationId, seen: i64, name: &str, slug: &str, at: Time) -> Write {
    sql!(
        "update users.organisation set name = {name}, slug = {slug}, updated_at = {at},
           version = version + 1
         where tenant_id = {tenant} and id = {id} and version = {seen} and status = 'active'"
    )
    .expect_rows(1)
}

pub fn archive(id: OrganisationId, seen: i64, at: Time) -> Write {
    sql!("select users.archive_organisation({tenant}, {id}, {seen}, {at})")
}

pub async fn members(db: &Db, id: OrganisationId, cursor: &Cursor) -> Result<Page<Member>> {
    let all = sql!(
        "select m.user_id, a.display_name, a.email, m.joined_at, m.projected as permissions,
           array(
             select r.name from users.binding b
             join users.role r on r.id = b.role_id
               and r.tenant_id in ({tenant}, users.everywhere())
             where b.tenant_id = m.tenant_id and b.user_id = m.user_id
               and b.organisation_id = m.organisation_id order by r.name
           ) as roles
         from users.membership m
         join users.account a on a.tenant_id = m.tenant_id and a.id = m.user_id
         where m.tenant_id = {tenant} and m.organisation_id = {id}"
    );
    db.page(all, cursor, ascending(["user_id"])).await
}

pub async fn member(db: &Db, id: OrganisationId, user: UserId) -> Result<Member> {
    let one = sql!(
        "select m.user_id, a.display_name, a.email, m.joined_at, m.projected as permissions,
           array(
             select r.name from users.binding b
             join users.role r on r.id = b.role_id
               and r.tenant_id in ({tenant}, users.everywhere())
             where b.tenant_id = m.tenant_id and b.user_id = m.user_id
               and b.organisation_id = m.organisation_id order by r.name
           ) as roles
         from users.membership m
         join users.account a on a.tenant_id = m.tenant_id and a.id = m.user_id
         where m.tenant_id = {tenant} and m.organisation_id = {id} and m.user_id = {user}"
    );
    db.one(one).await
}

/// Where somebody belongs.
pub async fn of_user(db: &Db, user: UserId) -> Result<Vec<Belonging>> {
    let all = sql!(
        "select o.id, o.slug, o.name, m.joined_at, coalesce(m.projected, '{{}}') as permissions
         from users.membership m
         join users.organisation o on o.tenant_id = m.tenant_id and o.id = m.organisation_id
         where m.tenant_id = {tenant} and m.user_id = {user} order by o.id limit 200"
    );
    db.all(all).await
}

pub fn join(
    id: OrganisationId,
    user: UserId,
    binding: BindingId,
    role: RoleId,
    role_version: Option<i64>,
    at: Time,
    giver: &str,
) -> Write {
    sql!(
        "select users.join_organisation(
           {tenant}, {id}, {user}, {binding}, {role}, {role_version}, {at}, {giver})"
    )
}

pub fn leave(id: OrganisationId, user: UserId, at: Time) -> Write {
    sql!("select users.leave_organisation({tenant}, {id}, {user}, {at})")
}

pub fn insert_invite(invite: &Invite) -> Write {
    let i = invite;
    sql!(
        "insert into users.invite (tenant_id, id, organisation_id, email, role_id, locale,
           created_at, created_by, expires_at)
         values ({tenant}, {i.id}, {i.organisation_id}, {i.email}, {i.role_id}, {i.locale},
           {i.created_at}, {i.created_by}, {i.expires_at})"
    )
}

pub async fn invite(db: &Db, id: InviteId) -> Result<Invite> {
    let one = sql!(
        "select i.*, o.name as organisation from users.invite i
         left join users.organisation o on o.tenant_id = i.tenant_id
           and o.id = i.organisation_id
         where i.tenant_id = {tenant} and i.id = {id}"
    );
    db.one(one).await
}

/// The invitation behind a link, while it can be accepted.
pub async fn invite_of_link(db: &Db, digest: &[u8], at: Time) -> Result<Invite> {
    let one = sql!(
        "select i.*, o.name as organisation from users.invite i
         left join users.organisation o on o.tenant_id = i.tenant_id
           and o.id = i.organisation_id
         where i.tenant_id = {tenant} and i.digest = {digest} and i.state = 'pending'
           and i.expires_at > {at}"
    );
    db.one(one).await
}

/// Newest first: those into one organisation, or (null) into the tenant.
pub async fn invites(
    db: &Db,
    organisation: Option<OrganisationId>,
    cursor: &Cursor,
) -> Result<Page<Invite>> {
    let all = sql!(
        "select i.*, o.name as organisation from users.invite i
         left join users.organisation o on o.tenant_id = i.tenant_id
           and o.id = i.organisation_id
         where i.tenant_id = {tenant} and i.organisation_id is not distinct from {organisation}"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// What waits for the owner of an address.
pub async fn invites_for(db: &Db, email: &str, at: Time) -> Result<Vec<Invite>> {
    let all = sql!(
        "select i.*, o.name as organisation from users.invite i
         left join users.organisation o on o.tenant_id = i.tenant_id
           and o.id = i.organisation_id
         where i.tenant_id = {tenant} and i.email = {email} and i.state = 'pending'
           and i.expires_at > {at}
         order by i.id limit 100"
    );
    db.all(all).await
}

pub async fn is_invited(db: &Db, email: &str, at: Time) -> Result<bool> {
    let any = sql!(
        "select exists (
           select from users.invite
           where tenant_id = {tenant} and email = {email} and state = 'pending'
             and expires_at > {at}
         )"
    );
    db.one(any).await
}

pub fn settle_invite(id: InviteId, state: &str, at: Time) -> Write {
    sql!(
        "update users.invite set state = {state}, settled_at = {at}, digest = null
         where tenant_id = {tenant} and id = {id} and state = 'pending'"
    )
    .expect_rows(1)
}

/// The digest of the link's secret; the letter before is worth nothing from now on.
pub fn seal_invite(id: InviteId, sealed: &Sealed) -> Write {
    let digest = &sealed.digest;
    sql!(
        "update users.invite set digest = {digest}
         where tenant_id = {tenant} and id = {id} and state = 'pending'"
    )
}

pub fn expire_invites(at: Time) -> Write {
    sql!(
        "update users.invite set state = 'expired', settled_at = {at}, digest = null
         where ctid = any (array(
           select ctid from users.invite where state = 'pending' and expires_at <= {at}
           limit 1000))"
    )
    .across_tenants()
}

pub fn purge_invites(before: Time) -> Write {
    sql!(
        "delete from users.invite where ctid = any (array(
           select ctid from users.invite where settled_at < {before} limit 1000))"
    )
    .across_tenants()
}
