//! What a host interface has to say for itself: how it links, whom it admits, what it keeps per
//! instance. Refuses to know which capabilities exist.

use crate::instance::Instance;
use crate::manifest::ComponentManifest;
use crate::runtime::WeakRuntime;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker, ResourceTable};

/// One host capability: a crate under `host/capabilities`.
pub trait Capability: Send + Sync + 'static {
    /// Folder name and word used in messages.
    const NAME: &'static str;
    /// Import prefixes this capability provides, e.g. `spin:key-value/`. A component that imports
    /// one of them must be admitted.
    const INTERFACES: &'static [&'static str];
    /// Lives as long as one instance.
    type State: Send + 'static;

    /// Adds the functions to the linker, once per process.
    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()>;
    /// Compares what the component imports with what its manifest grants, once per revision.
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied>;
    /// Makes the state of a new instance: cheap, no I/O.
    fn open(&self, opening: &Opening<'_>) -> Self::State;
}

/// What is known when an instance opens.
pub struct Opening<'a> {
    pub component: &'a Arc<ComponentManifest>,
    /// For calls to other components of the same host.
    pub runtime: &'a WeakRuntime,
}

/// A refused grant; says which manifest line would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{component} imports {interface} without a grant: add `{line}` to [component.{component}]")]
pub struct Denied {
    pub component: String,
    pub interface: &'static str,
    /// The line to add to the component's fragment.
    pub line: String,
}

/// `HasData` marker of a capability, for the generated `add_to_linker::<Instance, Has<C>>`.
pub struct Has<C>(PhantomData<C>);

impl<C: Capability> HasData for Has<C> {
    type Data<'a> = View<'a, C>;
}

/// What a host function of capability `C` may touch: its own state, the instance's resource table,
/// and the component's manifest.
pub struct View<'a, C: Capability> {
    pub state: &'a mut C::State,
    pub table: &'a mut ResourceTable,
    pub component: &'a Arc<ComponentManifest>,
}

/// The object-safe face of a [`Capability`].
pub(crate) trait AnyCapability: Send + Sync {
    fn interfaces(&self) -> &'static [&'static str];
    fn link(&self, linker: &mut Linker<Instance>) -> wasmtime::Result<()>;
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied>;
    fn open(&self, opening: &Opening<'_>) -> (TypeId, Box<dyn Any + Send>);
}

impl<C: Capability> AnyCapability for C {
    fn interfaces(&self) -> &'static [&'static str] {
        C::INTERFACES
    }
    fn link(&self, linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        C::link(linker)
    }
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        C::admit(self, component)
    }
    fn open(&self, opening: &Opening<'_>) -> (TypeId, Box<dyn Any + Send>) {
        (TypeId::of::<C>(), Box::new(C::open(self, opening)))
    }
}
