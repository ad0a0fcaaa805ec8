//! The minute's look: what is due is published, what has run out is not shown any more, and what
//! was left half done is made good.

use crate::{store, turn};
use nexus_sdk::prelude::*;

pub async fn look(system: System) -> Result<NoContent> {
    for due in store::titles::due(system.db(), system.now()).await? {
        let ctx = system.in_tenant(due.tenant_id);
        // One title that fails does not keep the others waiting.
        let looked = turn::look(&ctx, due.id).await;
        looked.map_err(|why| format!("{}: {why:?}", due.id)).or_log("look at a title");
    }
    Ok(NoContent)
}
