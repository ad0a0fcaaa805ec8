//! The machine: processors, memory, limits, disk, clock.

use super::{Check, Finding, Ground};
use rustix::process::{Resource, getrlimit};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const CHECKS: &[Check] = &[
    Check::plain("machine", "cores", |_| cores(threads())),
    Check::plain("machine", "memory", |_| match meminfo("MemAvailable:") {
        Some(kib) => memory(kib),
        None => Finding::skip("/proc/meminfo is not there"),
    }),
    Check::plain("machine", "open files", |_| {
        open_files(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
    }),
    Check::plain("machine", "address space", |_| address_space(getrlimit(Resource::As).current)),
    Check::plain("machine", "processes", |_| processes(getrlimit(Resource::Nproc).current)),
    Check::plain("machine", "disk space", |ground| on_disk(ground, |disk| space(disk.free_bytes))),
    Check::plain("machine", "inodes", |ground| {
        on_disk(ground, |disk| inodes(disk.free_inodes, disk.inodes))
    }),
    Check::plain("machine", "clock", |_| clock(SystemTime::now())),
    Check::plain("machine", "temporary folder", |_| writable(&std::env::temp_dir())),
    Check::plain("machine", "kernel", |_| {
        kernel(&std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
    }),
];

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cores(cores: usize) -> Finding {
    match cores {
        0..2 => Finding::warn("one core", "give it two: compiling stops requests for a while"),
        _ => Finding::ok(format!("{cores}")),
    }
}

fn meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The whole suite idles in some hundred MiB; PostgreSQL and a transcode want the same again.
fn memory(available_kib: u64) -> Finding {
    let found = format!("{} MiB are free", available_kib >> 10);
    match available_kib >> 10 {
        0..256 => Finding::fail(found, "the suite needs 256 MiB: stop something else"),
        256..1_024 => Finding::warn(found, "a gigabyte is a comfortable start"),
        _ => Finding::ok(found),
    }
}

/// Each connection is one, each database connection another.
fn open_files(limit: u64) -> Finding {
    let found = format!("{limit}");
    let todo = "raise it: LimitNOFILE=65536 in the unit, or `ulimit -n 65536`";
    match limit {
        0..1_024 => Finding::fail(found, todo),
        1_024..8_192 => Finding::warn(found, todo),
        _ => Finding::ok(found),
    }
}

/// Pooled instances reserve address space, not memory: terabytes of it.
fn address_space(limit: Option<u64>) -> Finding {
    match limit {
        None => Finding::ok("unlimited"),
        Some(bytes) => Finding::fail(
            format!("{} GiB", bytes >> 30),
            "`ulimit -v unlimited`: components reserve address space, which costs no memory",
        ),
    }
}

fn processes(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < 512 => {
            Finding::warn(format!("{limit}"), "raise it: TasksMax=4096 in the unit")
        }
        Some(limit) => Finding::ok(format!("{limit}")),
        None => Finding::ok("unlimited"),
    }
}

struct Disk {
    free_bytes: u64,
    free_inodes: u64,
    inodes: u64,
}

/// Judges the disk of the home, or of the nearest folder above that is there already.
fn on_disk(ground: &Ground, judge: impl Fn(&Disk) -> Finding) -> Finding {
    let there = ground.home.ancestors().find(|folder| folder.exists());
    let folder = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Ok(disk) => judge(&Disk {
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            free_inodes: disk.f_favail,
            inodes: disk.f_files,
        }),
        Err(error) => Finding::skip(format!("{}: {error}", folder.display())),
    }
}

fn space(free_bytes: u64) -> Finding {
    let found = format!("{} GiB are free", free_bytes >> 30);
    let todo = "make room, or put NEXUS_HOME on another disk";
    match free_bytes >> 20 {
        0..1_024 => Finding::fail(found, todo),
        1_024..10_240 => Finding::warn(found, todo),
        _ => Finding::ok(found),
    }
}

/// Some file systems have no fixed number of them, and say 0.
fn inodes(free: u64, all: u64) -> Finding {
    let found = format!("{free} of {all} are free");
    match (free, all) {
        (_, 0) => Finding::ok("as many as there is space"),
        (0..10_000, _) => Finding::fail(found, "remove small files, or use another disk"),
        (10_000..100_000, _) => Finding::warn(found, "remove small files, or use another disk"),
        _ => Finding::ok(found),
    }
}

/// When this was written: nothing that runs it can be earlier.
const EARLIEST: Duration = Duration::from_secs(1_764_547_200);
const LATEST: Duration = Duration::from_secs(4_102_444_800);

fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let shown = jiff::Timestamp::from_second(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let found = shown.map_or_else(|_| "no date".to_owned(), |at| at.to_string());
    let todo = "set it: `timedatectl set-ntp true`";
    match since {
        _ if since < EARLIEST => Finding::fail(found, todo),
        _ if since > LATEST => Finding::fail(found, todo),
        _ => Finding::ok(found),
    }
}

fn writable(folder: &Path) -> Finding {
    let shown = folder.display();
    match super::home::try_to_write(folder) {
        Ok(()) => Finding::ok(shown.to_string()),
        Err(error) => Finding::fail(format!("{shown}: {error}"), "set TMPDIR to one that is"),
    }
}

/// What io and time interfaces want.
fn kernel(release: &str) -> Finding {
    let mut numbers = release.trim().split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (5, 4) => {
            Finding::ok(release.trim())
        }
        (Some(Ok(_)), _) => Finding::warn(release.trim(), "5.4 or newer is what is tried"),
        _ => Finding::skip("its release is not told"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;

    #[test]
    fn a_small_machine_is_told_apart_from_a_fitting_one() {
        assert_eq!((cores(1).outcome, cores(2).outcome), (Warn, Ok));
        let at = |mib: u64| memory(mib << 10).outcome;
        assert_eq!((at(100), at(600), at(2_000)), (Fail, Warn, Ok));
        let at = |limit| open_files(limit).outcome;
        assert_eq!((at(256), at(1_024), at(65_536)), (Fail, Warn, Ok));
        assert_eq!((address_space(None).outcome, address_space(Some(1 << 32)).outcome), (Ok, Fail));
        assert_eq!((processes(Some(100)).outcome, processes(Some(4_096)).outcome), (Warn, Ok));
    }

    #[test]
    fn a_full_disk_is_seen_by_bytes_and_by_files() {
        let at = |mib: u64| space(mib << 20).outcome;
        assert_eq!((at(100), at(5_000), at(50_000)), (Fail, Warn, Ok));
        assert_eq!((inodes(5, 100).outcome, inodes(50_000, 1_000_000).outcome), (Fail, Warn));
        assert_eq!((inodes(0, 0).outcome, inodes(1_000_000, 2_000_000).outcome), (Ok, Ok));
    }

    #[test]
    fn a_clock_before_this_program_or_far_after_it_is_wrong() {
        let at = |seconds| clock(UNIX_EPOCH + Duration::from_secs(seconds)).outcome;
        assert_eq!((at(0), at(1_800_000_000), at(9_000_000_000)), (Fail, Ok, Fail));
    }

    #[test]
    fn a_folder_that_is_none_cannot_be_written_to() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(writable(folder.path()).outcome, Ok);
        assert_eq!(writable(&folder.path().join("none")).outcome, Fail);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn old_kernels_are_told() {
        let at = |release| kernel(release).outcome;
        assert_eq!((at("6.1.0-18-amd64\n"), at("4.19.0"), at("")), (Ok, Warn, Skipped));
    }
}
