//! Final uploads: one file of several partial ones, which a client has sent side by side. The store
//! cannot join objects, so their bytes pass through here once more, as if a client sent them; who
//! comes after a crash goes on where they stand.

use crate::bucket;
use crate::domain::{
    PartialUnfinished, PartialUnknown, UPLOAD_BYTES_MAX, Upload, UploadTooLarge, key_of,
};
use crate::intake::Intake;
use crate::quota::Bounds;
use crate::store::uploads::{self, Piece};
use crate::turn;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use media_contract::UploadId;
use nexus_sdk::prelude::*;

/// The pieces of an upload, in its order.
async fn pieces(by: &Ctx, ids: &Vec<UploadId>, owner: Uuid) -> Result<Vec<Piece>> {
    let mut found = uploads::pieces(by.db(), ids, owner).await?;
    let mut ordered = Vec::new();
    for id in ids {
        let at = found.iter().position(|piece| piece.id == *id).ok_or(PartialUnknown)?;
        ordered.push(found.swap_remove(at));
    }
    Ok(ordered)
}

/// How long the whole is; all its pieces must be there.
pub async fn length_of(by: &Ctx, ids: &Vec<UploadId>, owner: Uuid) -> Result<i64> {
    let pieces = pieces(by, ids, owner).await?;
    if pieces.iter().any(|piece| !piece.is_whole) {
        return Err(PartialUnfinished.into());
    }
    let whole: i64 = pieces.iter().filter_map(|piece| piece.length).sum();
    if whole > UPLOAD_BYTES_MAX {
        return Err(UploadTooLarge.into());
    }
    Ok(whole)
}

/// Joins what is not joined yet.
pub async fn join(by: &Ctx, id: UploadId, bounds: Bounds) -> Result<Upload> {
    let (holder, upload) = turn::take(by, id).await?;
    let joined = async {
        let ids = upload.partials.iter().map(|id| id.parse::<UploadId>());
        let ids: Vec<UploadId> = ids.collect::<Result<_, _>>().context("read what is joined")?;
        let pieces = pieces(by, &ids, upload.owner_id).await?;
        let bytes = Box::pin(from(pieces, upload.received));
        Intake::resume(by, upload, holder, bounds, None).await?.take(bytes).await
    };
    turn::or_release(by, id, holder, joined.await).await
}

/// The bytes of the pieces from `offset` of the whole on.
fn from(pieces: Vec<Piece>, offset: i64) -> impl Stream<Item = Result<Bytes>> + Send {
    let mut starts = 0;
    let mut rest = Vec::new();
    for piece in pieces {
        let length = piece.length.unwrap_or(0);
        let skipped = (offset - starts).clamp(0, length);
        starts += length;
        if skipped < length {
            rest.push((key_of(piece.id), skipped));
        }
    }
    let read = |(key, skipped): (String, i64)| async move { bucket::read(&key, skipped).await };
    futures::stream::iter(rest).then(read).try_flatten()
}
