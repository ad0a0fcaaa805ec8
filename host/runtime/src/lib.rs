//! The engine room: turns component bytes and a manifest into something that can be called, and
//! keeps every call inside its limits. Knows no capability and no trigger by name: those arrive
//! through the traits [`Capability`] and [`Trigger`] and are listed in `host/nexus`.

mod asked;
mod body;
mod call;
mod capability;
mod crews;
mod engine;
mod exports;
mod fleet;
mod headers;
mod instance;
mod latency;
mod limits;
mod logs;
mod manifest;
mod no_trailers;
mod one_call;
mod piece;
mod pool;
mod principal;
mod problem;
mod revision;
mod runtime;
mod snapshot;
mod trigger;
mod whole;
mod work;
mod worker;

pub use body::{Request, Response, full};
pub use call::{Call, CallError, Pins, TraceContext};
pub use capability::{Capability, Denied, Has, Opening, View};
pub use engine::{EngineSettings, Pools, compile, digest_of};
pub use fleet::{Fleet, FleetError, Served, WEIGHT_WHOLE, Weighted, affinity_of};
pub use instance::{ClockOffset, Instance, caller};
pub use latency::LatencyHistogram;
pub use limits::Limits;
pub use manifest::{
    ComponentId, ComponentManifest, Cron, Fragment, HttpRoute, Isolation, Manifest, ManifestError,
    Subscription, VariableDeclaration,
};
pub use piece::{fields, request};
pub use principal::{DEFAULT_TENANT, Principal, PrincipalKind};
pub use problem::Problem;
pub use revision::{Revision, RevisionError};
pub use runtime::{Active, EngineSnapshot, Runtime, RuntimeBuilder, ServedBy, WeakRuntime};
pub use snapshot::{ComponentSnapshot, Counts, RevisionSnapshot};
pub use trigger::{Shutdown, ShutdownSender, Trigger};
pub use work::{Delivery, Message, Outcome, Tick};
