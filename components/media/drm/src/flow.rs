//! One turn of an asset: something has happened, what follows from it is done or asked for, and
//! told. All of it is one commit on the asset as it was read; who was slower reads again.

use crate::domain::{self, Asset, Due, Package, State, Track};
use crate::index::hex;
use crate::{keys, objects, store};
use media_contract::drm::{PackageProtected, PackageWithdrawn, Protection, ProtectionOrdered};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// Tracks of one package end at about the same time; more than these at once are there never.
const RACES_MAX: usize = 12;
/// What lies beside tracks and is not encrypted.
const BESIDE: [&str; 2] = ["images", "text"];

/// What has happened besides: writes that belong to it, made anew for each try.
pub type Besides<'a> = &'a (dyn Fn() -> Vec<Write> + Send + Sync);

/// What a turn begins with.
#[derive(Default)]
pub struct Cause<'a> {
    /// A track of a package that is done, though its row does not say so yet.
    pub done: Option<(PackageId, &'a str)>,
    /// A newer package is to take the place of this one.
    pub renews: Option<PackageId>,
}

/// Changes an asset and does what follows.
///
/// # Errors
/// 503 while kms or the store is away; what `besides` refuses.
pub async fn turn(
    ctx: &Ctx,
    id: AssetId,
    cause: Cause<'_>,
    besides: Besides<'_>,
    change: &(dyn Fn(&mut Asset) + Send + Sync),
) -> Result<NoContent> {
    for _ in 0..RACES_MAX {
        let known = store::assets::find(ctx.db(), id).await?;
        let mut asset = known.unwrap_or_else(|| Asset::new(id));
        let before = asset.clone();
        change(&mut asset);
        let following = following(ctx, &asset, &cause).await?;
        let mut writes = besides();
        if asset != before || !following.is_empty() || cause.done.is_some() {
            writes.insert(0, store::assets::save(&asset));
        }
        writes.extend(following);
        match ctx.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) => {}
            committed => return committed,
        }
    }
    Err(standard::Conflict.into())
}

async fn following(ctx: &Ctx, asset: &Asset, cause: &Cause<'_>) -> Result<Vec<Write>> {
    let default = store::assets::default_protection(ctx.db()).await?;
    let newest = store::packages::newest(ctx.db(), asset.id).await?;
    let mut tracks = match &newest {
        Some(package) => store::tracks::of(ctx.db(), package.id).await?,
        None => Vec::new(),
    };
    if let (Some(package), Some((of, name))) = (&newest, cause.done) {
        let done = tracks.iter_mut().filter(|track| package.id == of && track.name == name);
        done.for_each(|track| track.done_at = Some(ctx.now()));
    }
    let mut due = domain::due(asset, default, newest.as_ref().map(|it| (it, &tracks[..])));
    let is_renewed = newest.as_ref().is_some_and(|package| cause.renews == Some(package.id));
    if is_renewed && asset.is_protected(default) {
        due = Due { begin: asset.clear_id, ..Due::default() };
    }
    carry_out(ctx, asset, due, newest.as_ref()).await
}

async fn carry_out(
    ctx: &Ctx,
    asset: &Asset,
    due: Due,
    newest: Option<&Package>,
) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    if due.retire {
        writes.push(store::packages::retire_all(asset.id, ctx.now()));
    }
    if let Some(clear) = due.begin {
        writes.extend(begin(ctx, asset, clear).await?);
    }
    let Some(package) = newest else { return Ok(writes) };
    due.add.iter().for_each(|track| writes.extend(ordered(ctx, package.id, track)));
    if let Some(state) = due.becomes {
        writes.extend(tell(ctx, asset, package, state).await?);
    }
    Ok(writes)
}

/// A new package with keys of its own, and the orders for its tracks.
async fn begin(ctx: &Ctx, asset: &Asset, clear: PackageId) -> Result<Vec<Write>> {
    let package = Package {
        id: ctx.new_id(),
        asset_id: asset.id,
        clear_id: clear,
        scheme: Protection::Cbcs,
        state: State::Making,
        failure: None,
        created_at: ctx.now(),
        changed_at: ctx.now(),
        retired_at: None,
        withdrawn_at: None,
    };
    let mut writes = vec![store::packages::insert(&package)];
    for key in keys::make(package.id).await? {
        writes.push(store::packages::insert_key(package.id, &key));
    }
    asset.tracks.iter().for_each(|track| writes.extend(ordered(ctx, package.id, track)));
    Ok(writes)
}

fn ordered(ctx: &Ctx, package: PackageId, track: &str) -> [Write; 2] {
    let vector = hex(&keys::random());
    let begun = Track { name: track.into(), vector, next: 0, done_at: None };
    let order = ProtectionOrdered { package, track: track.into(), first: 0 };
    [store::tracks::insert(package, &begun, ctx.now()), emit(order)]
}

/// The package can be played, or is complete: earlier ones make room.
async fn tell(ctx: &Ctx, asset: &Asset, package: &Package, state: State) -> Result<Vec<Write>> {
    for folder in BESIDE {
        objects::mirror(package.clear_id, package.id, folder).await?;
    }
    let owner = asset.owner_id.ok_or_else(|| Failure::msg("an asset of nobody"))?;
    let keys = store::packages::keys(ctx.db(), package.id).await?;
    Ok(vec![
        store::packages::becomes(package.id, state, None, ctx.now()),
        store::packages::retire_before(asset.id, package.id, ctx.now()),
        emit(PackageProtected {
            package: package.id,
            asset: asset.id,
            owner,
            clear: package.clear_id,
            scheme: package.scheme,
            key_ids: keys.iter().map(|key| key.key_id.simple().to_string()).collect(),
            is_complete: state == State::Complete,
        }),
    ])
}

/// Copies anew what lies beside the tracks of an asset's package.
///
/// # Errors
/// 503 while the store is away.
pub async fn mirror(ctx: &Ctx, asset: AssetId, folder: &str) -> Result<()> {
    match store::packages::newest(ctx.db(), asset).await? {
        Some(package) => objects::mirror(package.clear_id, package.id, folder).await,
        None => Ok(()),
    }
}

/// No player gets keys of a package from now on.
pub fn withdrawn(package: &Package, now: Time) -> [Write; 2] {
    let told = PackageWithdrawn { package: package.id, asset: package.asset_id };
    [store::packages::withdraw(package.id, now), emit(told)]
}
