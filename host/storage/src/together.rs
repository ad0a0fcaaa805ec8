//! Short reads over one connection: each is sent behind those that are on the way, and answers come
//! in the same order (PostgreSQL documentation, "Pipelining"). One message, and one wake of the
//! server's process and of ours, then stand for several reads, which cost more than the reads do.
//!
//! Who is slow delays who came after. So only what was quick and small many times in a row goes
//! this way, and what stops being so is alone again; a connection belongs to one service, whose
//! tables nobody else locks. Knows statements by their text. Refuses to send any.

use crate::session::{Held, Session};
use crate::statement::{Effect, Rules, first_word, inspect};
use crate::work::makes_work;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// So often in a row a statement was quick and small before it goes together with others.
const PROVEN: u32 = 16;

/// From its sending to its last row. Far above what a read of a few rows takes on a busy machine,
/// and no harm to who waits for so long.
const QUICK: Duration = Duration::from_millis(20);

/// What a result takes at most: then it is all there before its reader asks for it, and a reader
/// that is late delays nobody.
const SMALL_BYTES: usize = 4 << 10;

/// Reads on the way over one connection.
const DEPTH: usize = 8;

/// Connections that are shared, for each thread. A thread sends no faster than two can answer.
const LANES: usize = 2;

/// After this a connection goes back to the pool, which may need it elsewhere or find it too old.
const SHARED_FOR: Duration = Duration::from_millis(250);

/// Statements that are kept in mind; a service has some dozens.
const STATEMENTS_MAX: usize = 512;

/// The short reads of one login.
#[derive(Default)]
pub(crate) struct Together {
    /// How often in a row each was quick and small; None for what is no plain read.
    paces: Mutex<HashMap<Box<str>, Option<u32>>>,
    lanes: Mutex<Vec<Lane>>,
}

/// A connection that is shared by those who read over it at the moment.
struct Lane {
    thread: ThreadId,
    until: Instant,
    held: Weak<Held>,
}

impl Together {
    /// Whether the statement may go together with others.
    pub(crate) fn may_share(&self, sql: &str, rules: Rules) -> bool {
        let mut paces = lock(&self.paces);
        if let Some(pace) = paces.get(sql) {
            return pace.is_some_and(|times| times >= PROVEN);
        }
        if paces.len() >= STATEMENTS_MAX {
            paces.clear();
        }
        paces.insert(sql.into(), is_plain_read(sql, rules).then_some(0));
        false
    }

    /// What one run took, and the bytes of its rows; None for one that failed, which may be its
    /// parameters' fault.
    pub(crate) fn ran(&self, sql: &str, took: Duration, bytes: Option<usize>) {
        let mut paces = lock(&self.paces);
        let Some(Some(times)) = paces.get_mut(sql) else { return };
        *times = match bytes {
            _ if took > QUICK => 0,
            None => *times,
            Some(bytes) if bytes > SMALL_BYTES => 0,
            Some(_) => times.saturating_add(1),
        };
    }

    /// A connection of this thread with room for one more.
    pub(crate) fn join(&self) -> Option<Session> {
        let (now, here) = (Instant::now(), std::thread::current().id());
        let mut lanes = lock(&self.lanes);
        lanes.retain(|lane| lane.until > now && lane.held.strong_count() > 0);
        let mut own = lanes.iter().filter(|lane| lane.thread == here);
        own.find_map(|lane| {
            let held = lane.held.upgrade()?;
            let joined = Session::sharing(held);
            // The one that was just made counts, too.
            (lane.held.strong_count() <= DEPTH && joined.is_sound()).then_some(joined)
        })
    }

    /// Lets others join a connection that nobody has used since it was acquired. False where it
    /// stays its user's own.
    pub(crate) fn open(&self, session: &Session) -> bool {
        let here = std::thread::current().id();
        let mut lanes = lock(&self.lanes);
        let own = lanes.iter().filter(|lane| lane.thread == here && lane.held.strong_count() > 0);
        // From another thread each read would wake two.
        if own.count() >= LANES || session.thread() != here {
            return false;
        }
        let until = Instant::now() + SHARED_FOR;
        lanes.push(Lane { thread: here, until, held: session.downgrade() });
        true
    }
}

/// Whether it leaves nothing behind and waits for nobody who changes the same rows.
fn is_plain_read(sql: &str, rules: Rules) -> bool {
    let words = || sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    first_word(sql).as_deref() == Some("select")
        && inspect(sql, rules) == Effect::Transient
        && !makes_work(sql)
        // `for update` and its like lock.
        && !words().any(|word| word.eq_ignore_ascii_case("for"))
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left a map or a list, whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "select id, title from catalog.lamp where tenant_id = $1 and id = $2";

    fn after(runs: &[(u64, usize)]) -> bool {
        let together = Together::default();
        assert!(!together.may_share(READ, Rules::Service));
        for (millis, bytes) in runs {
            together.ran(READ, Duration::from_millis(*millis), Some(*bytes));
        }
        together.may_share(READ, Rules::Service)
    }

    #[test]
    fn what_was_quick_and_small_often_enough_goes_together() {
        let quick = [(1, 100); PROVEN as usize];
        assert!(!after(&quick[1..]));
        assert!(after(&quick));
        for other in [(21, 100), (1, SMALL_BYTES + 1)] {
            let runs = [&quick[..], &[other]].concat();
            assert!(!after(&runs), "{other:?}");
            assert!(!after(&[&runs[..], &quick[1..]].concat()), "{other:?}");
            assert!(after(&[&runs[..], &quick].concat()), "{other:?}");
        }
    }

    #[test]
    fn what_failed_proves_nothing_unless_it_took_long() {
        let together = Together::default();
        assert!(!together.may_share(READ, Rules::Service));
        (0..PROVEN).for_each(|_| together.ran(READ, Duration::ZERO, None));
        assert!(!together.may_share(READ, Rules::Service));
        (0..PROVEN).for_each(|_| together.ran(READ, Duration::ZERO, Some(0)));
        together.ran(READ, Duration::ZERO, None);
        assert!(together.may_share(READ, Rules::Service));
        together.ran(READ, QUICK * 2, None);
        assert!(!together.may_share(READ, Rules::Service));
    }

    #[test]
    fn what_locks_or_changes_or_stays_is_no_plain_read() {
        for (sql, is) in [
            (READ, true),
            ("-- why\nSELECT 1", true),
            ("select 1 FOR\nUPDATE", false),
            ("select 1 for no key update", false),
            ("select set_config('a.b', 'c', false)", false),
            ("select platform.publish($1, $2, $3, $4, $5, $6)", false),
            ("with x as (delete from y returning *) select * from x", false),
            ("insert into x values (1)", false),
            ("begin", false),
            ("", false),
        ] {
            assert_eq!(is_plain_read(sql, Rules::Service), is, "{sql}");
        }
    }

    #[test]
    fn only_so_many_statements_are_kept_in_mind() {
        let together = Together::default();
        for n in 0..=STATEMENTS_MAX {
            together.may_share(&format!("select {n}"), Rules::Service);
        }
        assert!(lock(&together.paces).len() <= STATEMENTS_MAX);
    }
}
