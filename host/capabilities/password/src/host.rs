//! The guest's side: `nexus:password/passwords` in terms of [`crate::phc`] and [`crate::pool`].

use crate::phc::{self, Cost, PasswordError, Verification};
use crate::{Password, PasswordState};
use nexus_runtime::{Has, View};
use passwords::Error;
use wasmtime::component::Accessor;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-password@0.1.0",
        world: "nexus:password/password",
    });
}

use bindings::nexus::password::passwords;
pub(crate) use passwords::add_to_linker;

impl passwords::Host for View<'_, Password> {}

impl<T: Send + 'static> passwords::HostWithStore<T> for Has<Password> {
    async fn hash(
        accessor: &Accessor<T, Self>,
        password: String,
        cost: Option<passwords::Cost>,
    ) -> Result<String, Error> {
        let state = state(accessor);
        let cost = cost.map_or(state.cost, Cost::from);
        phc::accepts(&password)?;
        cost.checked()?;
        state.pool.run(move |memory| phc::hash(&password, cost, memory)).await?.map_err(Error::from)
    }

    async fn verify(
        accessor: &Accessor<T, Self>,
        password: String,
        stored: Option<String>,
    ) -> Result<passwords::Verification, Error> {
        let state = state(accessor);
        phc::accepts(&password)?;
        let verify = move |memory: &mut crate::Memory| {
            phc::verify(&password, stored.as_deref(), state.cost, memory)
        };
        Ok(state.pool.run(verify).await??.into())
    }
}

fn state<T: Send + 'static>(accessor: &Accessor<T, Has<Password>>) -> PasswordState {
    accessor.with(|mut access| access.get().state.clone())
}

impl From<passwords::Cost> for Cost {
    fn from(cost: passwords::Cost) -> Self {
        Self { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes }
    }
}

impl From<Verification> for passwords::Verification {
    fn from(verification: Verification) -> Self {
        match verification {
            Verification::Match => Self::Match,
            Verification::MatchNeedsRehash => Self::MatchNeedsRehash,
            Verification::Mismatch => Self::Mismatch,
        }
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooLong => Self::TooLong,
            PasswordError::Malformed(why) => Self::Malformed(why),
            PasswordError::TooCostly(why) => Self::TooCostly(why),
            PasswordError::Busy | PasswordError::NoThread(_) => Self::Busy,
        }
    }
}
