//! The WIT side of `spin:variables`: turns a call into a lookup. Refuses to know providers.

use crate::{Variables, VariablesError};
use nexus_runtime::{Has, View};
use spin::variables::variables::{Error, Host, HostWithStore};
use wasmtime::component::Accessor;

wasmtime::component::bindgen!({
    path: "../../../wit/deps/spin-variables@3.0.0",
    inline: "
        package capability:variables;
        world imports { import spin:variables/variables@3.0.0; }
    ",
    world: "capability:variables/imports",
});

impl Host for View<'_, Variables> {}

impl<T: 'static> HostWithStore<T> for Has<Variables> {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        let found = accessor.with(|mut access| {
            let view = access.get();
            view.state.get(view.component, &name)
        });
        found.map_err(Error::from)
    }
}

impl From<VariablesError> for Error {
    fn from(error: VariablesError) -> Self {
        let text = error.to_string();
        match error {
            VariablesError::Name { .. } => Self::InvalidName(text),
            VariablesError::Unlisted { .. } | VariablesError::Undeclared { .. } => {
                Self::Undefined(text)
            }
            VariablesError::Missing { .. } | VariablesError::Unread { .. } => Self::Provider(text),
            VariablesError::Template => Self::Other(text),
        }
    }
}
