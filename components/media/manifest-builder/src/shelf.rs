//! Packages in memory: what was read lately, so that a playlist costs no look at the store. Knows
//! when to look again; refuses to know what is in a package. What is kept here anybody can read
//! again, so that an instance may forget it at any time.

use crate::package::Package;
use crate::track::Track;
use crate::{objects, store};
use media_contract::PackageId;
use nexus_sdk::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Segments of all packages together: about 100 bytes each.
const SEGMENTS_MAX: usize = 60_000;
const PACKAGES_MAX: usize = 64;
/// While tracks come.
const FRESH_SECONDS: i32 = 2;
/// Of a package that is complete: texts may come, and the whole may go.
const KEPT_SECONDS: i32 = 60;

static SHELF: Mutex<Shelf> = Mutex::new(Shelf { items: Vec::new() });

/// The one that was used last stands last.
struct Shelf {
    items: Vec<Item>,
}

#[derive(Clone)]
struct Item {
    tenant: TenantId,
    id: PackageId,
    read_at: Time,
    package: Arc<Package>,
}

impl Item {
    fn is_fresh(&self, now: Time) -> bool {
        let kept = if self.package.is_complete { KEPT_SECONDS } else { FRESH_SECONDS };
        // A clock that went back says nothing about how old something is.
        self.read_at <= now && now - self.read_at < seconds(kept)
    }
}

impl Shelf {
    fn find(&mut self, tenant: TenantId, id: PackageId) -> Option<Item> {
        let at = self.items.iter().position(|item| (item.tenant, item.id) == (tenant, id))?;
        let item = self.items.remove(at);
        self.items.push(item.clone());
        Some(item)
    }

    fn put(&mut self, item: Item) {
        self.items.retain(|other| (other.tenant, other.id) != (item.tenant, item.id));
        if item.package.tracks.is_empty() {
            return;
        }
        self.items.push(item);
        let weight = |items: &[Item]| items.iter().map(|it| it.package.weight()).sum::<usize>();
        while self.items.len() > PACKAGES_MAX
            || (self.items.len() > 1 && weight(&self.items) > SEGMENTS_MAX)
        {
            self.items.remove(0);
        }
    }
}

/// What lies in a package, at most so old as its state allows.
///
/// # Errors
/// 404 when there is no track of it; 503 while the store is away.
pub async fn package(ctx: &Ctx, id: PackageId) -> Result<Arc<Package>> {
    let shelf = || SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    // Not held while something is read.
    let known = shelf().find(ctx.tenant(), id);
    if let Some(item) = known.as_ref().filter(|item| item.is_fresh(ctx.now())) {
        return Ok(item.package.clone());
    }
    let tracks: &[Arc<Track>] = known.as_ref().map_or(&[], |item| &item.package.tracks);
    // Asked first: what is complete now has all its tracks in the list that follows.
    let is_complete = store::is_complete(ctx.db(), id).await?;
    let package = Package { is_complete, ..objects::read(id, tracks).await? };
    let package = Arc::new(package);
    let item = Item { tenant: ctx.tenant(), id, read_at: ctx.now(), package: package.clone() };
    shelf().put(item);
    match package.tracks.is_empty() {
        true => Err(standard::NotFound.into()),
        false => Ok(package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests;

    fn at(second: i64) -> Time {
        nexus_sdk::chrono::DateTime::from_timestamp(second, 0).unwrap()
    }

    fn item(id: u128, seconds: u32) -> Item {
        let package = Arc::new(tests::package(seconds));
        let tenant = Uuid::nil().into();
        Item { tenant, id: Uuid::from_u128(id).into(), read_at: at(100), package }
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let mut shelf = Shelf { items: Vec::new() };
        // Six tracks of 3,000 segments each.
        (0..4).for_each(|id| {
            shelf.put(item(id, 12_000));
            shelf.find(Uuid::nil().into(), Uuid::from_u128(0).into());
        });
        let ids: Vec<PackageId> = shelf.items.iter().map(|item| item.id).collect();
        assert_eq!(ids, [2, 3, 0].map(|id| Uuid::from_u128(id).into()));
    }

    #[test]
    fn a_package_that_grows_is_looked_at_again_soon() {
        let mut item = item(1, 4);
        assert!(item.is_fresh(at(159)) && !item.is_fresh(at(160)) && !item.is_fresh(at(99)));
        item.package = Arc::new(Package { is_complete: false, ..tests::package(4) });
        assert!(item.is_fresh(at(101)) && !item.is_fresh(at(102)));
    }
}
