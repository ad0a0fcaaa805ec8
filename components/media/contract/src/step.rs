//! What a step is called and how one ends, which the pipeline and the services that do the steps
//! must agree upon.

use crate::{AssetId, Reason, RunId};
use nexus_sdk::schemars::JsonSchema;
use nexus_sdk::serde::{Deserialize, Serialize};
use nexus_sdk::serde_json::Value;
use nexus_sdk::{Param, ToParam, word};

/// A piece of the work on an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "nexus_sdk::schemars")]
pub enum Step {
    /// What is inside: `media-metadata`.
    Probe,
    /// Tracks that can be played: `transcoder`.
    Transcode,
    /// Posters and pictures of the way through: `thumbnailer`.
    Thumbnail,
    /// What is said about it: `media-metadata`.
    Metadata,
}

/// Which tracks a step `transcode` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "nexus_sdk::schemars")]
pub enum Lane {
    /// What can be had at once: the source's own tracks, or one small size.
    Fast,
    /// Every size.
    Ladder,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "nexus_sdk::schemars")]
pub enum Outcome {
    Succeeded,
    Failed,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { Step, Lane, Outcome }

nexus_sdk::event! {
    /// A step is over. Whichever service does the step tells it.
    "media.step.done.v1" => StepDone about asset {
        asset: AssetId,
        run: RunId,
        step: Step,
        lane: Option<Lane>,
        /// Of the order that it answers.
        attempt: i32,
        outcome: Outcome,
        /// Why it failed.
        reason: Option<Reason>,
        /// Whether another attempt could end otherwise.
        may_retry: bool,
        /// Of `probe`, the `Facts`; of the others, what their service says of them.
        result: Value,
    }
    /// A native job works on a step: whoever watches that job sees how far it is.
    "media.step.started.v1" => StepStarted about asset {
        asset: AssetId,
        run: RunId,
        step: Step,
        lane: Option<Lane>,
        attempt: i32,
    }
}
