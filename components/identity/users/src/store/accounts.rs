//! Accounts.

use crate::accounts::{Account, Changes, NewAccount};
use crate::standing::Standing;
use identity_contract::UserId;
use nexus_sdk::prelude::*;

/// One account, erased or not.
pub async fn find(db: &Db, id: UserId) -> Result<Account> {
    find_if_any(db, id).await?.ok_or_else(|| standard::NotFound.into())
}

pub async fn find_if_any(db: &Db, id: UserId) -> Result<Option<Account>> {
    let one = sql!(
        "select a.*, array(
             select distinct p from users.membership m cross join unnest(m.projected) p
             where m.tenant_id = a.tenant_id and m.user_id = a.id
           ) as lent
         from users.account a where a.tenant_id = {tenant} and a.id = {id}"
    );
    db.optional(one).await
}

pub async fn by_email(db: &Db, email: &str) -> Result<Account> {
    let one = sql!(
        "select a.*, array(
             select distinct p from users.membership m cross join unnest(m.projected) p
             where m.tenant_id = a.tenant_id and m.user_id = a.id
           ) as lent
         from users.account a where a.tenant_id = {tenant} and a.email = {email}"
    );
    db.one(one).await
}

/// Whether one of the roles that ask for two factors is held, anywhere.
pub async fn needs_two_factors(db: &Db, id: UserId) -> Result<bool> {
    let asked = sql!(
        "select exists (
           select from users.policy p
           join users.binding b on b.tenant_id = p.tenant_id and b.role_id = any (p.mfa_role_ids)
           where p.tenant_id = {tenant} and b.user_id = {id}
         ) or exists (
           select from users.policy p
           join users.group_role g on g.tenant_id = p.tenant_id
             and g.role_id = any (p.mfa_role_ids)
           join users.group_member m on m.tenant_id = g.tenant_id and m.group_id = g.group_id
           where p.tenant_id = {tenant} and m.user_id = {id}
         )"
    );
    db.one(asked).await
}

/// By id; `text` is found in addresses and names, whatever its case.
pub async fn list(
    db: &Db,
    standing: Option<Standing>,
    text: Option<&str>,
    cursor: &Cursor,
) -> Result<Page<Account>> {
    let all = sql!(
        "select a.*, array(
             select distinct p from users.membership m cross join unnest(m.projected) p
             where m.tenant_id = a.tenant_id and m.user_id = a.id
           ) as lent
         from users.account a
         where tenant_id = {tenant}
           and (status = {standing} or {standing}::text is null and status <> 'erased')
           and ({text}::text is null
             or position(lower({text}) in coalesce(email, '')) > 0
             or position(lower({text}) in lower(coalesce(display_name, ''))) > 0)"
    );
    db.page(all, cursor, ascending(["id"])).await
}

pub fn insert(new: &NewAccount) -> Write {
    let attributes = Json(&new.attributes);
    let user_key = new.user_name.to_lowercase();
    sql!(
        "select users.add_account({tenant}, {new.id}, {new.status}, {new.email},
           {new.email_verified}, {new.user_name}, {user_key}, {new.external_id},
           {new.display_name}, {new.locale}, {attributes}, {new.at})"
    )
}

pub fn edit(id: UserId, seen: Option<i64>, changes: &Changes, at: Time) -> Write {
    let c = changes;
    sql!(
        "select users.edit_account({tenant}, {id}, {seen}, {c.email}, {c.email_verified},
           {c.display_name}, {c.locale}, {at})"
    )
}

/// No other version: coming in changes nothing about a person.
pub fn came_in(id: UserId, at: Time) -> Write {
    sql!(
        "update users.account set last_login_at = greatest(last_login_at, {at})
         where tenant_id = {tenant} and id = {id} and status <> 'erased'"
    )
}

pub fn set_standing(
    id: UserId,
    seen: Option<i64>,
    standing: Standing,
    reason: Option<&str>,
    at: Time,
) -> Write {
    sql!("select users.set_status({tenant}, {id}, {seen}, {standing}, {reason}, {at})")
}

pub fn erase(id: UserId, seen: Option<i64>, at: Time) -> Write {
    sql!("select users.erase({tenant}, {id}, {seen}, {at})")
}
