//! The facts that `transcoder` publishes.

use crate::AssetId;
use nexus_sdk::serde_json::Value;
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// What work on an asset has cost.
    "media.usage.recorded.v1" => UsageRecorded about asset {
        asset: AssetId,
        /// `transcode`.
        kind: String,
        /// Of processors, all of them together.
        cpu_seconds: f64,
        /// How long the content lasts that was made, in every size together counted once.
        content_seconds: f64,
        /// Bytes that are stored because of it.
        bytes: i64,
    }
    /// A worker is done transcoding; told by the platform for this service itself.
    "media.transcode_job.settled.v1" => TranscodeJobSettled {
        /// The job's.
        id: Uuid,
        kind: String,
        /// `succeeded`, `failed` or `cancelled`.
        state: String,
        attempt: i32,
        /// What the worker says; see `media-native/transcode`.
        output: Option<Value>,
        error: Option<String>,
    }
}
