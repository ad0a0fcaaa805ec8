//! Encryption, a part of a track at a time: each is one message, and the next is asked for in the
//! commit that ends it. Names, keys and vectors are settled before, so that a part that is done
//! again writes the same bytes.

use crate::cenc::{BLOCK, Cipher, Head, Malformed, Mark, protect};
use crate::domain::{Class, Package, State, Track};
use crate::flow::{self, Cause};
use crate::index::{Clear, Protection, Segment, hex, sha256};
use crate::store::packages::Key;
use crate::{keys, objects, store};
use media_contract::PackageId;
use media_contract::drm::ProtectionOrdered;
use nexus_sdk::prelude::*;
use nexus_sdk::release_after;
use std::time::Duration;

/// Of segments in one message: some seconds of CPU at most, and few accesses to the store.
const PART_BYTES: u64 = 16 << 20;
/// Accesses to the store that one message may make for small segments.
const PART_SEGMENTS: usize = 24;
const FAILURE_CHARS_MAX: usize = 400;
const SEGMENT_TYPE: &str = "video/iso.segment";
const INDEX_TYPE: &str = "application/json";
/// Somebody else has just changed the same asset.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a track cannot be protected; what is no fault of the track is an [`Error`].
enum Fault {
    Track(String),
    Ours(Error),
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Ours(error.into())
    }
}

fn faulty(what: impl std::fmt::Display, why: Malformed) -> Fault {
    Fault::Track(format!("{what}: {why}"))
}

/// A track on its way.
struct Work<'a> {
    package: &'a Package,
    track: &'a Track,
    key: &'a Key,
    all_keys: &'a [Key],
    init: Vec<u8>,
    index: Clear,
}

pub async fn on_ordered(ctx: Ctx, order: ProtectionOrdered) -> Result<NoContent> {
    let package = store::packages::find(ctx.db(), order.package).await?;
    let package = package.filter(|it| it.retired_at.is_none() && it.state != State::Failed);
    let track = store::tracks::find(ctx.db(), order.package, &order.track).await?;
    let track = track.filter(|it| it.next == order.first && it.done_at.is_none());
    let (Some(package), Some(track)) = (package, track) else {
        // Told twice, or of no use any more.
        return ctx.commit([]).await;
    };
    let all_keys = store::packages::keys(ctx.db(), package.id).await?;
    let class = Class::of(&track.name);
    let key = all_keys.iter().find(|key| key.class == class);
    let key = key.ok_or_else(|| Failure::msg("a package without keys"))?;
    let done = match Work::read(&package, &track, key, &all_keys).await {
        Ok(work) => part(&ctx, work).await,
        Err(fault) => Err(fault),
    };
    match done {
        Ok(done) => Ok(done),
        Err(Fault::Track(why)) => fail(&ctx, &package, &track, &why).await,
        // Whoever was faster has done the same.
        Err(Fault::Ours(error)) if error.is(&standard::Conflict) => Err(release_after(AGAIN)),
        Err(Fault::Ours(error)) => Err(error),
    }
}

async fn part(ctx: &Ctx, mut work: Work<'_>) -> Result<NoContent, Fault> {
    let made = work.encrypt().await?;
    let (package, track) = (work.package.id, work.track);
    let next = track.next + i32::try_from(made.len()).unwrap_or(i32::MAX);
    if (next as usize) < work.index.count() {
        let order = ProtectionOrdered { package, track: track.name.clone(), first: next };
        let writes = [
            store::tracks::insert_part(package, track, &made),
            store::tracks::advance(package, track, next, None, ctx.now()),
            emit(order),
        ];
        return Ok(ctx.commit(writes).await?);
    }
    let mut all = store::tracks::parts(ctx.db(), package, &track.name).await?;
    // A last part that was kept by an attempt that died is not there: its commit is this one.
    all.extend(made);
    let asset = work.package.asset_id;
    let (package, track) = work.publish(&all).await?;
    let cause = Cause { done: Some((package, &track.name)), renews: None };
    let now = ctx.now();
    let besides = || {
        vec![
            store::tracks::advance(package, track, next, Some(now), now),
            store::tracks::forget_parts(package, &track.name),
        ]
    };
    Ok(flow::turn(ctx, asset, cause, &besides, &|_| {}).await?)
}

impl<'a> Work<'a> {
    async fn read(
        package: &'a Package,
        track: &'a Track,
        key: &'a Key,
        all_keys: &'a [Key],
    ) -> Result<Work<'a>, Fault> {
        let file = |name: &str| objects::key(package.clear_id, &track.name, name);
        let index = objects::read(&file("index.json")).await?;
        let init = objects::read(&file("init.mp4")).await?;
        let (Some(index), Some(init)) = (index, init) else {
            return Err(Fault::Track(format!("{}: there is no such track", track.name)));
        };
        let index = Clear::read(&index);
        let index = index.map_err(|why| Fault::Track(format!("{}: {why}", track.name)))?;
        Ok(Work { package, track, key, all_keys, init, index })
    }

    fn vector(&self) -> Result<[u8; BLOCK], Failure> {
        let digit = |at: usize| u8::from_str_radix(self.track.vector.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..BLOCK).map(|at| digit(2 * at)).collect();
        let vector = bytes.and_then(|bytes| bytes.try_into().ok());
        vector.ok_or_else(|| Failure::msg("a track without its vector"))
    }

    /// Encrypts and stores the next segments.
    async fn encrypt(&mut self) -> Result<Vec<Segment>, Fault> {
        let Work { package, track, .. } = *self;
        let mut head = Head::read(&self.init).map_err(|why| faulty(&track.name, why))?;
        let open = keys::open(package.id, self.key).await?;
        let cipher = Cipher::new(&open.key, self.vector()?);
        let (first, mut bytes, mut made) = (track.next as usize, 0, Vec::new());
        while first + made.len() < self.index.count() {
            let number = first + made.len();
            bytes += self.index.bytes(number);
            if !made.is_empty() && (bytes > PART_BYTES || made.len() >= PART_SEGMENTS) {
                break;
            }
            let name = format!("{number}.m4s");
            let clear = objects::read(&objects::key(package.clear_id, &track.name, &name)).await?;
            let place = || format!("{}/{name}", track.name);
            let clear = clear.ok_or_else(|| Fault::Track(format!("{}: it is missing", place())))?;
            let done = protect(&clear, &mut head, &cipher).map_err(|why| faulty(place(), why))?;
            let told = self.index.told(number, &done);
            let key = objects::key(package.id, &track.name, &name);
            objects::write(key, SEGMENT_TYPE, done.bytes, &told.sha256).await?;
            made.push(told);
        }
        Ok(made)
    }

    /// Stores the initialization segment, and at last the index: who sees it finds all segments.
    async fn publish(self, made: &[Segment]) -> Result<(PackageId, &'a Track), Fault> {
        let is_video = Head::read(&self.init).map_err(|why| faulty(&self.track.name, why))?;
        let is_video = is_video.is_video();
        let vector = self.vector()?;
        let all: Vec<[u8; BLOCK]> = self.all_keys.iter().map(|it| it.key_id.into_bytes()).collect();
        let mark = Mark { key_id: self.key.key_id.into_bytes(), vector, all_key_ids: &all };
        let init = mark.put(&self.init).map_err(|why| faulty(&self.track.name, why))?;
        let how = Protection {
            scheme: "cbcs",
            key_id: self.key.key_id.simple().to_string(),
            iv: hex(&vector),
            pattern: if is_video { [1, 9] } else { [0, 0] },
        };
        let index = self.index.protected(&init, made, &how);
        let index = index.map_err(|why| Failure::msg(format!("write an index: {why}")))?;
        let (package, track) = (self.package.id, self.track);
        let media_type = if is_video { "video/mp4" } else { "audio/mp4" };
        let (digest, key) = (sha256(&init), objects::key(package, &track.name, "init.mp4"));
        objects::write(key, media_type, init, &digest).await?;
        let (digest, key) = (sha256(&index), objects::key(package, &track.name, "index.json"));
        objects::write(key, INDEX_TYPE, index, &digest).await?;
        Ok((package, track))
    }
}

/// The package cannot be made: its owner sees why.
async fn fail(ctx: &Ctx, package: &Package, track: &Track, why: &str) -> Result<NoContent> {
    let why: String = why.chars().take(FAILURE_CHARS_MAX).collect();
    let (id, now) = (package.id, ctx.now());
    let next = track.next;
    ctx.commit([
        store::packages::becomes(id, State::Failed, Some(&why), now),
        store::tracks::advance(id, track, next, Some(now), now),
    ])
    .await
}
