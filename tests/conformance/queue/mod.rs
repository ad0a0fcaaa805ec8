//! What the lease queue promises, said once and tried through every door there is: a component of
//! our SDK that the host calls, operators with the admin API, workers that call the host.
//!
//! Knows the promises (`claims`) and the four steps of which they are made. A driver says how its
//! door takes a step, and in its header which steps its door has no word for; those are taken by
//! the neighbour. Refuses to know tables: what only storage can show is in its own tests.

mod claims;
mod ground;
mod operators;
mod sdk;
mod workers;

use ground::Ground;
use nexus_harness::eventually;
use std::time::Duration;
use uuid::Uuid;

/// Time for what the host does beside: it looks for what is due four times a second, for leases
/// that have lapsed every second.
const SOON: Duration = Duration::from_secs(20);

/// What a queue is asked to be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    attempts_max: u32,
    /// Deliveries at once, over all holders.
    at_once: u32,
    /// Whether messages may carry a group.
    grouped: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { attempts_max: 8, at_once: 8, grouped: false }
    }
}

/// A message to be put in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Put {
    delay: Option<Duration>,
    priority: i16,
    group: Option<&'static str>,
    dedup_key: Option<&'static str>,
}

/// A message in somebody's hands.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// As [`Door::put`] has named it.
    id: Uuid,
    /// 1 at the first delivery.
    attempt: u32,
    /// As the door writes it.
    lease: String,
}

/// What its holder says of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Ack,
    Retry {
        after: Duration,
        reason: &'static str,
    },
    /// At once.
    Release,
    Reject {
        reason: &'static str,
    },
}

/// One queue, and a way to it.
pub(crate) trait Door: Sized {
    async fn open(rules: Rules) -> Self;

    fn ground(&self) -> &Ground;

    /// Puts a message in, which the answer names: of several with one key, each by its own name.
    async fn put(&self, put: Put) -> Uuid;

    /// The next message that nobody has been given yet, if there is one now.
    async fn try_take(&self) -> Option<Taken>;

    /// Says what becomes of a message; false when the holder was told that it is not his any more.
    async fn finish(&self, taken: &Taken, end: End) -> bool;

    /// Claims that nothing is to be had.
    async fn nothing_comes(&self) {
        let taken = self.try_take().await;
        assert!(taken.is_none(), "nobody should be given {taken:?}");
    }

    async fn end(self);

    async fn take(&self) -> Taken {
        let mut taken = None;
        eventually("a message comes", SOON, async || {
            taken = self.try_take().await;
            taken.is_some()
        })
        .await;
        taken.expect("it has come")
    }

    /// Takes a message and says what becomes of it, as its holder may.
    async fn settle(&self, end: End) -> Taken {
        let taken = self.take().await;
        assert!(self.finish(&taken, end).await, "{taken:?} is held");
        taken
    }
}

/// Every claim as a test through every door.
macro_rules! through_every_door {
    ($($claim:ident),* $(,)?) => {
        mod through_the_sdk {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::claims::$claim::<super::sdk::Sdk>().await;
            })*
        }

        mod as_an_operator {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::claims::$claim::<super::operators::Operators>().await;
            })*
        }

        mod as_a_worker {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::claims::$claim::<super::workers::Workers>().await;
            })*
        }
    };
}

through_every_door! {
    what_is_acknowledged_is_done_and_comes_no_more,
    a_delivery_is_counted_when_it_is_claimed,
    a_retry_comes_again_after_its_pause_as_another_attempt,
    a_release_uses_no_attempt_up,
    a_reject_is_dead_at_once_with_its_reason,
    a_message_that_fails_too_often_is_dead_with_its_history,
    a_lease_that_lapses_is_an_attempt_and_the_message_comes_again,
    a_holder_whose_lease_has_lapsed_changes_nothing,
    a_delayed_message_does_not_come_before_its_time,
    of_one_key_only_the_first_is_put_in,
    one_of_a_group_at_a_time_and_in_order,
    higher_priority_goes_first_and_equals_in_order,
    a_paused_queue_takes_messages_and_gives_none,
    a_dead_letter_that_is_redriven_has_all_its_attempts_again,
    a_purge_takes_what_its_filter_says_and_a_dry_run_nothing,
    every_message_is_in_exactly_one_state,
}
