//! The state folder: there, ours, closed to others, on a disk that keeps.

use super::{Check, Finding};
use crate::home::RESTORING;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("home", "writable", |ground| written(&ground.home)),
    Check::plain("home", "closed to others", |ground| closed(&ground.home)),
    Check::plain("home", "private files", |ground| private_files(&ground.home)),
    Check::plain("home", "whole", |ground| whole(&ground.home)),
    Check::plain("home", "owner", |ground| owner(&ground.home)),
    Check::plain("home", "lasting", |ground| lasting(&ground.home)),
    Check::plain("home", "compiled code", |ground| match &ground.settings {
        Ok(settings) => written(&settings.compiled),
        Err(_) => Finding::skip("the settings are wrong"),
    }),
    Check::plain("home", "object folder", |ground| match &ground.settings {
        Ok(settings) if settings.objects.is_some() => Finding::skip("objects are on S3"),
        _ => written(&ground.home.join("blobs")),
    }),
];

/// Makes a file and takes it away.
pub(super) fn try_to_write(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".nexus-doctor-{}", std::process::id()));
    let mut made = std::fs::File::create_new(&file)?;
    let written = made.write_all(b"nexus doctor").and_then(|()| made.sync_all());
    std::fs::remove_file(&file)?;
    written
}

/// What is not there yet must be possible to make in the nearest folder that is.
fn written(folder: &Path) -> Finding {
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = folder.display();
    match try_to_write(there) {
        Ok(()) if there == folder => Finding::ok(shown.to_string()),
        Ok(()) => Finding::ok(format!("{shown} will be made")),
        Err(error) => Finding::fail(
            format!("{}: {error}", there.display()),
            "let this user write there, or name another folder with NEXUS_HOME",
        ),
    }
}

fn closed(home: &Path) -> Finding {
    let Ok(mode) = std::fs::metadata(home).map(|is| is.permissions().mode()) else {
        return Finding::skip("there is no home yet");
    };
    let shown = format!("mode {:03o}", mode & 0o777);
    match mode & 0o022 {
        0 => Finding::ok(shown),
        _ => Finding::fail(shown, format!("`chmod go-w {}`", home.display())),
    }
}

/// What only the host's user may read.
const PRIVATE: [&str; 7] = [
    "admin-token",
    "worker-token",
    "blob-secret",
    "dev-root-key",
    "dev-key.pem",
    "dev-token",
    "backup-key",
];

fn private_files(home: &Path) -> Finding {
    let mut open = Vec::new();
    let mut seen = 0;
    for name in PRIVATE {
        let file = home.join(name);
        let Ok(is) = std::fs::metadata(&file) else { continue };
        seen += 1;
        if is.permissions().mode() & 0o077 != 0 {
            open.push(file.display().to_string());
        }
    }
    match (seen, open.is_empty()) {
        (0, _) => Finding::skip("there are none yet"),
        (_, true) => Finding::ok(format!("{seen} are the owner's alone")),
        (_, false) => {
            let files = open.join(" ");
            Finding::fail(format!("others may read {files}"), format!("`chmod 600 {files}`"))
        }
    }
}

fn whole(home: &Path) -> Finding {
    match home.join(RESTORING).exists() {
        true => Finding::fail(
            "a restore was begun and not finished",
            "run `nexus restore` again, which begins anew",
        ),
        false => Finding::ok("no restore was cut off"),
    }
}

fn owner(home: &Path) -> Finding {
    let Ok(is) = std::fs::metadata(home) else { return Finding::skip("there is no home yet") };
    let me = rustix::process::geteuid().as_raw();
    match is.uid() == me {
        true => Finding::ok(format!("user {me}")),
        false => Finding::warn(
            format!("it belongs to user {}, this is {me}", is.uid()),
            "run as its owner, or give it another home",
        ),
    }
}

/// Linux's numbers of file systems that forget or that lock badly (statfs(2)).
const TMPFS: u64 = 0x0102_1994;
const NFS: u64 = 0x6969;
const OVERLAY: u64 = 0x794c_7630;

fn lasting(home: &Path) -> Finding {
    let there = home.ancestors().find(|folder| folder.exists());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statfs(there) {
        Ok(is) => lasting_on(u64::try_from(is.f_type).unwrap_or_default()),
        Err(error) => Finding::skip(error.to_string()),
    }
}

fn lasting_on(kind: u64) -> Finding {
    match kind {
        TMPFS => {
            Finding::warn("in memory", "name a folder on a disk: this one ends with the machine")
        }
        NFS => {
            Finding::warn("NFS", "put the home on a disk of this machine: locks and fsync matter")
        }
        OVERLAY => {
            Finding::warn("a container's own layer", "mount a volume: this ends with the container")
        }
        _ => Finding::ok("on a disk"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_home_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o755);
        assert_eq!(closed(folder.path()).outcome, Ok);
        mode(folder.path(), 0o777);
        assert_eq!(closed(folder.path()).outcome, Fail);
        assert_eq!(closed(&folder.path().join("none")).outcome, Skipped);
    }

    #[test]
    fn a_token_that_others_may_read_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(private_files(folder.path()).outcome, Skipped);
        let token = folder.path().join("admin-token");
        std::fs::write(&token, "x").unwrap();
        mode(&token, 0o600);
        assert_eq!(private_files(folder.path()).outcome, Ok);
        mode(&token, 0o644);
        let found = private_files(folder.path());
        assert!(found.outcome == Fail && found.todo.contains("chmod 600"), "{found:?}");
    }

    #[test]
    fn a_home_is_written_to_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(written(folder.path()).outcome, Ok);
        let made = written(&folder.path().join("a/b"));
        assert!(made.outcome == Ok && made.found.ends_with("will be made"));
        // Also root cannot make a folder in a file.
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(written(&file.join("home")).outcome, Fail);
    }

    #[test]
    fn a_restore_that_was_cut_off_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(whole(folder.path()).outcome, Ok);
        std::fs::write(folder.path().join(RESTORING), "").unwrap();
        assert_eq!(whole(folder.path()).outcome, Fail);
    }

    #[test]
    fn a_home_that_does_not_last_or_is_anothers_is_told() {
        assert_eq!((lasting_on(TMPFS).outcome, lasting_on(NFS).outcome), (Warn, Warn));
        assert_eq!(lasting_on(0xef53).outcome, Ok);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(owner(folder.path()).outcome, Ok);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
            assert_eq!(owner(folder.path()).outcome, Warn);
        }
    }
}
