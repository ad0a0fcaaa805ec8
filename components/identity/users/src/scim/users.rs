//! Accounts of a directory.

use super::answer::Scim;
use super::directory::{Described, described, finished};
use super::patch::patched;
use super::schema::Kind;
use super::search::{Document, Search};
use crate::accounts::{Account, NewAccount, creation};
use crate::refused::named;
use crate::standing::{Order, Standing};
use crate::store::scim::Known;
use crate::{accounts, store};
use identity_contract::UserId;
use identity_contract::users::{UserDeactivated, UserReinstated, UserUpdated};
use nexus_sdk::prelude::*;
use serde_json::Value;

fn id_of(id: &str) -> Result<UserId, Refusal> {
    // What is no id names nobody.
    id.parse().map_err(|_| standard::NotFound)
}

pub async fn create(by: &Ctx, resource: &Value) -> Result<Scim> {
    let d = described(resource)?;
    let new = NewAccount {
        id: by.new_id(),
        status: if d.active { Standing::Active } else { Standing::Deactivated },
        email_verified: d.email.is_some(),
        email: d.email,
        user_name: d.user_name,
        external_id: d.external_id,
        display_name: d.display_name,
        locale: d.locale,
        attributes: d.attributes,
        at: by.now(),
    };
    let first = store::roles::first(by.db()).await?;
    by.commit(creation(by, &new, &[first])).await?;
    told(by, new.id, StatusCode::CREATED).await
}

async fn told(by: &Ctx, id: UserId, status: StatusCode) -> Result<Scim> {
    let Document { document, version } = store::scim::find(by.db(), Kind::User, id.into()).await?;
    let origin = by.variable("public_url").await?;
    Ok(Scim::resource(status, version, finished(Kind::User, &origin, document)))
}

pub async fn show(by: &Ctx, id: &str, search: &Search) -> Result<Scim> {
    let mut scim = told(by, id_of(id)?, StatusCode::OK).await?;
    scim.body = scim.body.map(|resource| search.seen(Kind::User, resource));
    Ok(scim)
}

pub async fn replace(
    by: &Ctx,
    id: &str,
    version: Option<IfMatch>,
    resource: &Value,
) -> Result<Scim> {
    let account = mine(by, id, version).await?;
    put(by, account, described(resource)?).await
}

pub async fn modify(
    by: &Ctx,
    id: &str,
    version: Option<IfMatch>,
    operations: &Value,
) -> Result<Scim> {
    let account = mine(by, id, version).await?;
    let now = store::scim::find(by.db(), Kind::User, account.id.into()).await?;
    if now.version != account.version {
        return Err(standard::Conflict.into());
    }
    let wanted = patched(Kind::User, &now.document, operations)?;
    let mut read = described(&wanted)?;
    if wanted.get("active").is_none() {
        // A directory that takes the word back says nothing; the account goes on.
        read.attributes["active"] = Value::Null;
    }
    put(by, account, read).await
}

pub async fn remove(by: &Ctx, id: &str, version: Option<IfMatch>) -> Result<Scim> {
    let account = mine(by, id, version).await?;
    by.commit(accounts::ordered(&account, Order::Erase, None, by.now())?).await?;
    Ok(Scim::gone())
}

/// The account, if whoever asks may change it and means this version of it.
async fn mine(by: &Ctx, id: &str, version: Option<IfMatch>) -> Result<Account> {
    let account = store::accounts::find(by.db(), id_of(id)?).await?;
    if account.status == Standing::Erased {
        return Err(standard::NotFound.into());
    }
    account.within(by)?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(account.version))?;
    }
    Ok(account)
}

async fn put(by: &Ctx, account: Account, wanted: Described) -> Result<Scim> {
    let id = account.id;
    let known = Known {
        email: wanted.email.as_deref(),
        user_name: &wanted.user_name,
        external_id: wanted.external_id.as_deref(),
        display_name: wanted.display_name.as_deref(),
        locale: wanted.locale.as_deref(),
        attributes: &wanted.attributes,
    };
    let write = store::scim::put_account(id, account.version, &known, by.now());
    let mut writes = vec![named(write), emit(UserUpdated { id })];
    writes.extend(turned(&account, wanted.active, by.now()));
    by.commit(writes).await?;
    told(by, id, StatusCode::OK).await
}

/// A directory lets people go and takes them back. Whoever was suspended here stays so: an
/// administrator's reason does not end with the next synchronisation.
fn turned(account: &Account, active: bool, at: Time) -> Vec<Write> {
    let id = account.id;
    let (standing, told) = match (account.status, active) {
        (Standing::Active | Standing::Invited, false) => {
            (Standing::Deactivated, emit(UserDeactivated { id }))
        }
        (Standing::Deactivated, true) => (Standing::Active, emit(UserReinstated { id })),
        _ => return Vec::new(),
    };
    let write = store::accounts::set_standing(id, None, standing, None, at);
    vec![named(write), told]
}
