//! Takes out of the store what the database has ordered to go. Orders are written in the commit
//! that makes something superfluous; carrying them out may be tried as often as one likes.

use crate::bucket;
use crate::store::removals::{self, Removal};
use nexus_sdk::prelude::*;

/// Orders that one look carries out.
const SWEPT_MAX: i64 = 200;

/// Carries out what is due in one tenant, right after it was ordered. What fails is tried again.
pub async fn sweep(by: &Ctx) {
    let swept = async {
        let due = removals::due_here(by.db(), by.now(), SWEPT_MAX).await?;
        let done = carry_out(due).await;
        if done.is_empty() {
            return Ok(NoContent);
        }
        by.aside().commit(removals::done(&done)).await
    };
    swept.await.or_log("remove what is not needed any more");
}

/// Carries out what is due anywhere.
pub async fn sweep_all(system: &System) -> Result<()> {
    loop {
        let due = removals::due(system.db(), system.now(), SWEPT_MAX).await?;
        let all = due.len();
        let done = carry_out(due).await;
        if !done.is_empty() {
            system.commit(removals::done(&done)).await?;
        }
        // What failed would only fail again.
        if done.len() < all || all < SWEPT_MAX as usize {
            return Ok(());
        }
    }
}

/// The orders that are done.
async fn carry_out(due: Vec<Removal>) -> Vec<String> {
    let mut done = Vec::new();
    for removal in due {
        let removed = async {
            if let Some(multipart) = &removal.multipart {
                bucket::abort(&removal.key, multipart).await?;
            }
            bucket::remove(&removal.key).await
        };
        if removed.await.or_log("remove a file").is_some() {
            done.push(removal.id.to_string());
        }
    }
    done
}
