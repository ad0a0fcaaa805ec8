//! Groups of a directory. Where roles hang on a group, whoever changes its members gives and takes
//! these roles, and must hold as much.

use super::answer::Scim;
use super::directory::{Grouped, finished, grouped};
use super::patch::patched;
use super::schema::Kind;
use super::search::{Document, Search};
use crate::permission::within;
use crate::refused::named;
use crate::store;
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::id! {
    /// A group of a directory.
    GroupId
}

fn id_of(id: &str) -> Result<GroupId, Refusal> {
    // What is no id names nothing.
    id.parse().map_err(|_| standard::NotFound)
}

pub async fn create(by: &Ctx, resource: &Value) -> Result<Scim> {
    let group = grouped(resource)?;
    let id: GroupId = by.new_id();
    let external_id = group.external_id.as_deref();
    let put = store::scim::put_group(id.into(), None, &group.display_name, external_id, by.now());
    let members = store::scim::set_members(id.into(), &group.members, by.now());
    by.commit([named(put), named(members)]).await?;
    told(by, id, StatusCode::CREATED).await
}

async fn told(by: &Ctx, id: GroupId, status: StatusCode) -> Result<Scim> {
    let Document { document, version } = store::scim::find(by.db(), Kind::Group, id.into()).await?;
    let origin = by.variable("public_url").await?;
    Ok(Scim::resource(status, version, finished(Kind::Group, &origin, document)))
}

pub async fn show(by: &Ctx, id: &str, search: &Search) -> Result<Scim> {
    let mut scim = told(by, id_of(id)?, StatusCode::OK).await?;
    scim.body = scim.body.map(|resource| search.seen(Kind::Group, resource));
    Ok(scim)
}

pub async fn replace(
    by: &Ctx,
    id: &str,
    version: Option<IfMatch>,
    resource: &Value,
) -> Result<Scim> {
    let id = id_of(id)?;
    let old = meant(by, id, version).await?;
    put(by, id, old, grouped(resource)?).await
}

pub async fn modify(
    by: &Ctx,
    id: &str,
    version: Option<IfMatch>,
    operations: &Value,
) -> Result<Scim> {
    let id = id_of(id)?;
    let old = meant(by, id, version).await?;
    let wanted = patched(Kind::Group, &old.document, operations)?;
    put(by, id, old, grouped(&wanted)?).await
}

pub async fn remove(by: &Ctx, id: &str, version: Option<IfMatch>) -> Result<Scim> {
    let id = id_of(id)?;
    let old = meant(by, id, version).await?;
    within(by.principal(), &store::scim::group_permissions(by.db(), id.into()).await?)?;
    by.commit(named(store::scim::remove_group(id.into(), old.version, by.now()))).await?;
    Ok(Scim::gone())
}

/// The group, if whoever asks means this version of it.
async fn meant(by: &Ctx, id: GroupId, version: Option<IfMatch>) -> Result<Document> {
    let document = store::scim::find(by.db(), Kind::Group, id.into()).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(document.version))?;
    }
    Ok(document)
}

async fn put(by: &Ctx, id: GroupId, old: Document, wanted: Grouped) -> Result<Scim> {
    let before = grouped(&old.document)?.members;
    let name = &wanted.display_name;
    let external_id = wanted.external_id.as_deref();
    let put = store::scim::put_group(id.into(), Some(old.version), name, external_id, by.now());
    let mut writes = vec![named(put)];
    if before != wanted.members {
        within(by.principal(), &store::scim::group_permissions(by.db(), id.into()).await?)?;
        writes.push(named(store::scim::set_members(id.into(), &wanted.members, by.now())));
    }
    by.commit(writes).await?;
    told(by, id, StatusCode::OK).await
}
