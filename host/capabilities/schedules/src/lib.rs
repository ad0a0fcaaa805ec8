//! `nexus:schedules`: what calendar expressions mean, computed by the code that will fire them.
//! Knows no schedule and no database.

mod answers;
mod host;

pub use answers::{COUNT_MAX, TIME_MAX, preview};

use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use wasmtime::component::Linker;

/// The capability behind `nexus:schedules/calendars`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schedules;

impl Capability for Schedules {
    const NAME: &'static str = "schedules";
    const INTERFACES: &'static [&'static str] = &["nexus:schedules/"];
    type State = ();

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// Everyone: computing reveals nothing, and is bounded.
    fn admit(&self, _component: &ComponentManifest) -> Result<(), Denied> {
        Ok(())
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {}
}
