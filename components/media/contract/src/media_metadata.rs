//! The facts that `media-metadata` publishes.

use crate::facts::Facts;
use crate::{AssetId, RunId};
use nexus_sdk::serde_json::Value;
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// What an asset holds is known.
    "media.metadata.extracted.v1" => MetadataExtracted about asset {
        asset: AssetId,
        owner: Uuid,
        run: RunId,
        facts: Facts,
        /// What the file calls itself, if it does.
        title: Option<String>,
    }
    /// A worker is done looking at a file; told by the platform for this service itself.
    "media.probe_job.settled.v1" => ProbeJobSettled {
        /// The job's.
        id: Uuid,
        kind: String,
        /// `succeeded`, `failed` or `cancelled`.
        state: String,
        attempt: i32,
        /// What the worker says; see `media-native/probe`.
        output: Option<Value>,
        error: Option<String>,
    }
}
