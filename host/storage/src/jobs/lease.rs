//! A job's lease as a worker sees it: an opaque text.

use std::fmt;
use std::str::FromStr;

/// Which claim of which message of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobLease {
    pub(crate) queue: i32,
    pub(crate) position: i64,
    /// The fencing number.
    pub(crate) number: i32,
}

/// The text is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no lease")]
pub struct NoLease;

impl fmt::Display for JobLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.queue, self.position, self.number)
    }
}

impl FromStr for JobLease {
    type Err = NoLease;

    fn from_str(text: &str) -> Result<Self, NoLease> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NoLease);
        let (queue, position, number) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(NoLease);
        }
        Ok(Self {
            queue: queue.parse().map_err(|_| NoLease)?,
            position: position.parse().map_err(|_| NoLease)?,
            number: number.parse().map_err(|_| NoLease)?,
        })
    }
}

#[test]
fn a_lease_is_read_as_it_was_written_and_nothing_else_is_one() {
    let lease = JobLease { queue: 3, position: 1 << 40, number: 7 };
    assert_eq!(lease.to_string().parse(), Ok(lease));
    for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "a.2.3", "1..3", "99999999999.1.1"] {
        assert_eq!(text.parse::<JobLease>(), Err(NoLease), "{text}");
    }
}
