//! The facts that `player-api` publishes.

use crate::AssetId;
use nexus_sdk::Time;
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// What players told of an asset since the last time; to be added to what was told before.
    "insight.qoe.beacon.v1" => QoeBeacon about asset {
        asset: AssetId,
        /// Whose it is.
        owner: Uuid,
        /// When the hour began that these belong to.
        hour: Time,
        /// The name of a device profile; empty where the player did not say.
        device: String,
        /// Somebody wanted to see something.
        plays: i64,
        /// … and saw it, after `startup_ms` in sum.
        first_frames: i64,
        startup_ms: i64,
        /// Ended by an error before the first picture, and after it.
        failures: i64,
        errors: i64,
        /// Closed before the first picture.
        left_early: i64,
        stalls: i64,
        stall_ms: i64,
        played_ms: i64,
        rung_changes: i64,
        /// Of what was played: kb/s times seconds.
        kilobits: i64,
        frames: i64,
        frames_dropped: i64,
    }
}
