//! The CPU time of a program that has ended: read between its end and the moment when somebody
//! waits for it, because afterwards nobody knows it any more.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits until a child that nobody has waited for has ended. Its CPU time, with that of the
/// children it has waited for; zero where this machine does not tell.
pub(crate) async fn at_end(child: Pid) -> Duration {
    let Ok(handle) = pidfd_open(child, PidfdFlags::NONBLOCK) else { return Duration::ZERO };
    // SAFETY: the handle owns its descriptor and always gives the same one.
    let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) };
    let Ok(handle) = handle else { return Duration::ZERO };
    match handle.readable().await {
        Ok(_ended) => read(child).unwrap_or_default(),
        Err(_) => Duration::ZERO,
    }
}

fn read(process: Pid) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid())).ok()?;
    // The name before the last parenthesis may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    // User and system time, then those of its children: fields 14 to 17, the state being 3.
    let times = fields.split(' ').skip(11).take(4);
    let ticks: u64 = times.filter_map(|it| it.parse::<u64>().ok()).sum();
    // SAFETY: asks for a number.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?.max(1);
    Some(Duration::from_millis(ticks * 1_000 / per_second))
}
