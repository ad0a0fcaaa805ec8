//! What the operating system says about this process (Linux `/proc`). Where it says nothing, the
//! number is absent rather than zero.

use std::time::{Duration, SystemTime};

/// One look at the process.
#[derive(Debug, Clone, Default)]
pub struct ProcessSample {
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, in bytes; large with pooled instances and harmless.
    pub virtual_bytes: Option<u64>,
    /// CPU time of all threads since the start, user and system.
    pub cpu: Option<Duration>,
    pub open_fds: Option<u64>,
    /// The soft limit of open files.
    pub max_fds: Option<u64>,
    pub threads: Option<u64>,
    pub started: Option<SystemTime>,
}

impl ProcessSample {
    /// Reads it now; some microseconds of system calls.
    pub fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
        };
        let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            resident_bytes: number("VmRSS").map(|kib| kib * 1024),
            virtual_bytes: number("VmSize").map(|kib| kib * 1024),
            cpu: cpu_time(),
            open_fds: std::fs::read_dir("/proc/self/fd").ok().map(|list| list.count() as u64),
            max_fds: limits.current,
            threads: number("Threads"),
            started: started(),
        }
    }
}

fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?))
}

/// From `/proc/self/stat`, field 22 (ticks after boot), and the boot time of `/proc/stat`.
fn started() -> Option<SystemTime> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may itself hold spaces and brackets.
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: u64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot = Duration::from_secs(boot.trim().parse().ok()?);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(SystemTime::UNIX_EPOCH + boot + Duration::from_millis(ticks * 1000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_memory_cpu_time_and_open_files() {
        let sample = ProcessSample::read();
        assert!(sample.resident_bytes.unwrap() > 100_000);
        assert!(sample.cpu.unwrap() > Duration::ZERO);
        assert!(sample.open_fds.unwrap() >= 3);
        assert!(sample.threads.unwrap() >= 1);
        let age = SystemTime::now().duration_since(sample.started.unwrap());
        assert!(age.unwrap_or_default() < Duration::from_secs(3600), "started within the hour");
    }
}
