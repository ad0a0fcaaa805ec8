//! The facts that `content-cms` publishes, as far as those who play something must know them.

use crate::AssetId;
use nexus_sdk::Time;

nexus_sdk::event! {
    /// Everybody of the tenant may play an asset from now on.
    "media.content.published.v1" => ContentPublished about asset {
        asset: AssetId,
        /// When that was decided: of two decisions the later one holds, however they arrive.
        at: Time,
    }
    /// Nobody but its owner may play an asset any more.
    "media.content.unpublished.v1" => ContentUnpublished about asset {
        asset: AssetId,
        /// When that was decided.
        at: Time,
    }
}
