//! What stands beside a request while its function runs: where the work comes from, and the parts
//! of its path.
//!
//! Knows for which request the component's one thread is at work: said anew each time that a
//! function is polled, as `tokio::task_local!` does, because an entry in the request's own map of
//! types costs more than to find its route. Refuses to know functions.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use crate::ctx::Origin;
use crate::parts::Parts;
use crate::service::Asked;

pub(crate) struct Beside {
    pub(crate) origin: Origin,
    /// Once the route is found, and where its pattern has any.
    pub(crate) parts: OnceLock<Parts>,
    pub(crate) asked: Asked,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Beside>>> = const { RefCell::new(None) };
}

/// Of the function that is being polled; None outside of any.
pub(crate) fn current() -> Option<Arc<Beside>> {
    CURRENT.with_borrow(Clone::clone)
}

/// One poll, in which `beside` is the current one.
pub(crate) fn turn<T>(beside: &Arc<Beside>, run: impl FnOnce() -> T) -> T {
    let _before = Before(CURRENT.replace(Some(beside.clone())));
    run()
}

/// Is the current one again afterwards, also after a panic.
struct Before(Option<Arc<Beside>>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;

    fn of(service: &'static str) -> Arc<Beside> {
        let request_id = "r".to_owned().into();
        let origin = Origin { service, request_id, trace: None, errand: None };
        Arc::new(Beside { origin, parts: OnceLock::new(), asked: Asked::of(&Request::default()) })
    }

    fn service() -> Option<&'static str> {
        current().map(|beside| beside.origin.service)
    }

    #[test]
    fn a_turn_within_a_turn_ends_before_it() {
        assert_eq!(service(), None);
        turn(&of("a"), || {
            turn(&of("b"), || assert_eq!(service(), Some("b")));
            assert_eq!(service(), Some("a"));
        });
        assert_eq!(service(), None);
    }

    #[test]
    fn a_turn_that_panics_is_over() {
        let panics = || turn(&of("a"), || panic!("at its turn"));
        std::panic::catch_unwind(panics).unwrap_err();
        assert_eq!(service(), None);
    }
}
