//! The host's log in a test: shown on stderr, and a warning or an error that nobody expected fails
//! the test.
//!
//! Lines belong to a process, not to a host. cargo-nextest gives each test a process of its own,
//! so there they are the test's; under plain `cargo test`, tests share a process, no line can be
//! attributed, and nothing is judged.

use nexus_observability::{Format, Guard, Settings, Witness};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How the lines begin that every host under test writes: its keys are those of development.
const ALWAYS: &str = "development: ";

/// How a host says that its database took too long over a question that is asked of it all the
/// time. Here that is the machine, which compiles and encodes meanwhile; a test whose requests fail
/// for it fails by itself, and a database that is gone is told in other words.
const LATE: &str = "PostgreSQL is away reason=\"no answer within";

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    witness: Witness,
    /// Words; a line that contains one of them is expected.
    expected: Mutex<Vec<String>>,
    judged: Mutex<Judged>,
    _guard: Option<Guard>,
}

/// Which lines count. A host that is dropped is cut off in the middle of whatever it does, and the
/// calls under way say so: those lines are no fault of it.
#[derive(Default)]
struct Judged {
    /// How many lines at the beginning do not count.
    from: usize,
    /// Set once a host was dropped: what comes then does not count, until another host begins.
    over: bool,
}

/// Held by each host under test; looks at the lines before the host goes.
pub(crate) struct Watch {
    stopped: bool,
}

impl Watch {
    /// Starts logging, once in a process. `NEXUS_LOG` says what is shown; warnings are, by default.
    pub(crate) fn begin() -> Self {
        LOG.get_or_init(|| {
            let filter = std::env::var("NEXUS_LOG").unwrap_or_else(|_| "warn".into());
            let settings = Settings { format: Format::Pretty, filter, otlp: None };
            let witness = Witness::default();
            // A test may have set up logging of its own; then nothing is seen here.
            let guard = nexus_observability::init_before(witness.clone(), &settings).ok();
            let expected = Mutex::new(vec![ALWAYS.into(), LATE.into()]);
            Log { witness, expected, judged: Mutex::default(), _guard: guard }
        })
        .begin_again();
        Self { stopped: false }
    }

    /// Looks at the lines of a host that was given time to end, its last ones too.
    pub(crate) fn stopped(mut self) {
        self.stopped = true;
    }

    pub(crate) fn expect(&self, words: &str) {
        if let Some(log) = LOG.get() {
            log.expected().push(words.to_owned());
        }
    }
}

impl Log {
    fn expected(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judged(&self) -> std::sync::MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_again(&self) {
        let mut judged = self.judged();
        if std::mem::take(&mut judged.over) {
            judged.from = self.witness.seen().len();
        }
    }

    /// The lines that count and that nobody expected; `last` when no further lines count.
    fn unexpected(&self, last: bool) -> Vec<String> {
        let mut judged = self.judged();
        if judged.over {
            return Vec::new();
        }
        judged.over = last;
        let expected = self.expected();
        let mut lines = self.witness.seen().split_off(judged.from);
        lines.retain(|line| !expected.iter().any(|words| line.contains(words)));
        lines
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that fails already says why; two panics would end the process without a word.
        if std::thread::panicking() || !is_alone() {
            return;
        }
        let unexpected = LOG.get().map(|log| log.unexpected(!self.stopped)).unwrap_or_default();
        assert!(
            unexpected.is_empty(),
            "the host logged what the test does not expect (`nexus.expects_log(…)`):\n{}",
            unexpected.join("\n")
        );
    }
}

/// Whether this process runs one test only.
pub(crate) fn is_alone() -> bool {
    std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test")
}
