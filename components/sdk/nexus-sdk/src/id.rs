//! Ids: UUIDv7 newtypes, one per kind of thing, so that a product's id is never an order's.
//!
//! Knows how an id is minted from an instant. Refuses to know what it names.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::Mutex;

use uuid::{ContextV7, Timestamp, Uuid};

use crate::time::Time;

/// What `id!` implements: a UUID with a meaning.
pub trait Id:
    Copy + Eq + Ord + Debug + Display + FromStr<Err = uuid::Error> + From<Uuid> + Into<Uuid>
{
}

crate::id! {
    /// A tenant: one brand on one installation. Every row has one.
    TenantId
}

/// Mints the ids of one request. They sort in the order in which they were minted, even
/// within a millisecond (RFC 9562 §6.2, method 1: a counter under one clock reading).
#[derive(Debug)]
pub(crate) struct Mint {
    now: Time,
    counter: Mutex<ContextV7>,
}

impl Mint {
    pub(crate) fn new(now: Time) -> Mint {
        Mint { now, counter: Mutex::new(ContextV7::new()) }
    }

    pub(crate) fn next(&self) -> Uuid {
        let counter = self.counter.lock().expect("minting an id does not panic");
        // An instant before 1970 is a test's; the counter still keeps the order.
        let seconds = u64::try_from(self.now.timestamp()).unwrap_or(0);
        let nanoseconds = self.now.timestamp_subsec_nanos();
        Uuid::new_v7(Timestamp::from_unix(&*counter, seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_request_sort_in_the_order_they_were_minted() {
        let mint = Mint::new(crate::time::now());
        let minted: Vec<Uuid> = (0..500).map(|_| mint.next()).collect();
        assert!(minted.is_sorted());
        assert!(minted.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn an_id_carries_the_instant_it_was_minted_from() {
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let (seconds, _) = Mint::new(now).next().get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_700_000_000);
    }

    #[test]
    fn an_id_is_written_and_read_as_a_plain_uuid() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        let id: TenantId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert!("not-an-id".parse::<TenantId>().is_err());
    }
}
