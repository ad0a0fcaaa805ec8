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

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    witness: Witness,
    /// Words; a line that contains one of them is expected.
    expected: Mutex<Vec<String>>,
    _guard: Option<Guard>,
}

/// Held by each host under test; looks at the lines when the host has gone.
pub(crate) struct Watch;

impl Watch {
    /// Starts logging, once in a process. `NEXUS_LOG` says what is shown; warnings are, by default.
    pub(crate) fn begin() -> Self {
        LOG.get_or_init(|| {
            let filter = std::env::var("NEXUS_LOG").unwrap_or_else(|_| "warn".into());
            let settings = Settings { format: Format::Pretty, filter, otlp: None };
            let witness = Witness::default();
            // A test may have set up logging of its own; then nothing is seen here.
            let guard = nexus_observability::init_before(witness.clone(), &settings).ok();
            Log { witness, expected: Mutex::new(vec![ALWAYS.into()]), _guard: guard }
        });
        Self
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

    fn unexpected(&self) -> Vec<String> {
        let expected = self.expected();
        let mut lines = self.witness.seen();
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
        let unexpected = LOG.get().map(Log::unexpected).unwrap_or_default();
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
