//! Whose turn it is to write to an upload: one at a time, over all hosts. A turn is given back by
//! the commit that ends it, or by its lease when its host has died.

use crate::domain::Upload;
use crate::store::{uploads, writing};
use media_contract::UploadId;
use nexus_sdk::prelude::*;

/// Takes the turn and reads the upload as it stands from then on.
///
/// # Errors
/// 423 while somebody else has it.
pub async fn take(by: &Ctx, id: UploadId) -> Result<(Uuid, Upload)> {
    let holder: Uuid = by.new_id::<UploadId>().into();
    by.commit(writing::take(id, holder)).await?;
    Ok((holder, uploads::of_anybody(by.db(), id).await?))
}

/// Gives the turn back when what was done with it has failed.
pub async fn or_release<T>(by: &Ctx, id: UploadId, holder: Uuid, result: Result<T>) -> Result<T> {
    if result.is_err() {
        by.commit(writing::release(id, holder)).await.or_log("give back the turn of an upload");
    }
    result
}
