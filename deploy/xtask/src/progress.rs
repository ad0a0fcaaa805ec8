//! Says what is going on and for how long. Knows nothing of the work.
//!
//! All of it goes to stderr: stdout belongs to answers (`bench --json`, `docs --check`).

use anyhow::Result;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Silence longer than this looks like a hang.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Work shorter than this needs no closing line.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// Announces `what`, runs it, and repeats itself with the elapsed seconds while it takes long.
pub fn stage<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what}");
    let began = Instant::now();
    let (done, waits) = channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            while waits.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    … {what}: {} s", began.elapsed().as_secs());
            }
        });
        let result = work();
        drop(done);
        result
    });
    if result.is_ok() && began.elapsed() > WORTH_TELLING {
        eprintln!("    {what}: done in {}", spoken(began.elapsed()));
    }
    result
}

/// `4.2 s`, or `3 min 07 s` when it is long.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[test]
fn a_long_time_is_spoken_in_minutes() {
    assert_eq!(spoken(Duration::from_millis(4_240)), "4.2 s");
    assert_eq!(spoken(Duration::from_secs(187)), "3 min 07 s");
}
