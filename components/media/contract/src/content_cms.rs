//! The ids of `content-cms`, and the facts that it publishes: which titles there are, and which
//! assets may be played because of them.

use crate::AssetId;
use nexus_sdk::Time;
use nexus_sdk::uuid::Uuid;

nexus_sdk::id! {
    /// What viewers see and what is published: a film, an episode, a clip, a series.
    TitleId;
    /// Titles in an order that somebody has chosen: a row of a page.
    CollectionId
}

nexus_sdk::event! {
    /// Everybody of the tenant may play an asset from now on.
    "media.content.published.v1" => ContentPublished about asset {
        asset: AssetId,
        /// When that was decided: of two decisions the later one holds, however they arrive.
        at: Time,
        /// The title because of which; there may be others.
        title: Option<TitleId>,
    }
    /// Nobody but its owner may play an asset any more.
    "media.content.unpublished.v1" => ContentUnpublished about asset {
        asset: AssetId,
        /// When that was decided.
        at: Time,
        /// The last title that showed it.
        title: Option<TitleId>,
    }
    /// There is a title; nobody sees it yet.
    "media.content.created.v1" => ContentCreated about title {
        title: TitleId,
        /// `film`, `episode`, `clip` or `series`.
        kind: String,
        owner: Uuid,
        name: String,
    }
    /// Viewers find a title from now on.
    "media.title.listed.v1" => TitleListed about title {
        title: TitleId,
        kind: String,
        /// None of a series.
        asset: Option<AssetId>,
        name: String,
        at: Time,
    }
    /// Viewers do not find a title any more.
    "media.title.unlisted.v1" => TitleUnlisted about title {
        title: TitleId,
        kind: String,
        asset: Option<AssetId>,
        at: Time,
    }
}
