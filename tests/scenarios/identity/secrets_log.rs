//! All that a host says, down to what only its developers read: every event and every span, with
//! their fields, in memory.
//!
//! Lines cannot be told apart where tests share a process; then there is nothing to be had.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Everything of ours, and of the libraries what they say for debugging.
const FILTER: &str = "debug,nexus=trace,trigger=trace,guest=trace,access=trace,call=trace";

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins before the first host does, or not at all.
    pub fn begin() -> Option<Self> {
        let mode = std::env::var("NEXTEST_EXECUTION_MODE");
        if !mode.is_ok_and(|mode| mode == "process-per-test") {
            return None;
        }
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(FILTER))
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Some(log)
    }

    /// Everything that was said until now.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        let whose = |name: &str| text.lines().filter(|line| line.contains(name)).count();
        assert!(whose("DEBUG") > 10 && whose(" access: ") > 20, "too little is said:\n{text}");
        text
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
