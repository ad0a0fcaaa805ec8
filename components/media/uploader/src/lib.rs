//! Uploader: files on their way here. Resumable by tus, or past us by signed URLs; checked, counted
//! against a quota, looked at by their bytes, and kept once however often somebody uploads them.
//! Refuses to know what a file is for beyond its purpose: whoever is interested hears
//! `media.upload.completed.v1`, once, when the bytes are safe.
//!
//! Read in this order: `tus.rs` (what a client may ask), `intake.rs` (how bytes become safe),
//! `finish.rs` (what becomes of a whole file), `sweeps.rs` (what a crash leaves).

mod bucket;
mod concat;
mod direct;
mod domain;
mod fields;
mod finish;
mod hash;
mod intake;
mod metadata;
mod objects;
mod quota;
mod removals;
mod sniff;
mod store;
mod sweeps;
mod turn;
mod tus;

use domain::NotAPerson;
use identity_contract::users::UserErased;
use media_contract::asset_pipeline::AssetDeleted;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Uploading, and deleting what one has uploaded.
    Create = "uploader:create";
    /// Seeing what one has uploaded.
    View = "uploader:view";
    /// Everybody's uploads and quotas.
    Manage = "uploader:manage"
}

nexus_sdk::service! {
    http: router,
    root: tus_router,
    events: {
        "media.asset.deleted.v1" => on_asset_deleted,
        "identity.user.erased.v1" => on_user_erased,
    },
    cron: [settle, purge],
}

fn router() -> Router {
    Router::new().merge(objects::router()).merge(direct::router()).merge(quota::router())
}

fn tus_router() -> Router {
    tus::router()
}

/// Whose an upload of this caller is.
fn owner_of(by: &Ctx) -> Result<Uuid> {
    by.principal().subject.parse().map_err(|_| NotAPerson.into())
}

async fn on_asset_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    sweeps::on_asset_deleted(ctx, event).await
}

async fn on_user_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    sweeps::on_user_erased(ctx, event).await
}

async fn settle(system: System) -> Result<NoContent> {
    sweeps::settle(system).await
}

async fn purge(system: System) -> Result<NoContent> {
    sweeps::purge(system).await
}
