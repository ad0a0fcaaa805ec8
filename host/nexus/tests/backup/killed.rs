//! Kill -9 in the middle of a backup and of a restore.

use super::{Bed, Told, compared, objects_are_those_of_the_test};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const REACHED_MAX: Duration = Duration::from_secs(60);

fn spawned(bed: &Bed, arguments: &[&str]) -> Child {
    let mut command = bed.command(&bed.home, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Kills the process as soon as `reached` holds; whether it was still running.
fn killed_when(mut child: Child, reached: impl Fn() -> bool) -> bool {
    let end = Instant::now() + REACHED_MAX;
    while !reached() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "the moment did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    // No exit code: a signal ended it.
    child.wait().unwrap().code().is_none()
}

#[tokio::test]
async fn a_backup_that_was_killed_is_never_taken_for_a_whole_one() {
    let bed = Bed::filled().await;
    let moments: [(&str, fn(&Path) -> PathBuf); 3] = [
        ("a", |to| to.join("header.json")),
        ("b", |to| to.join("pack-00001.nxb")),
        ("c.nxb", |to| to.with_extension("nxb.part")),
    ];
    for (name, sign) in moments {
        let to = bed.path(name);
        let child = spawned(&bed, &["backup", "--to", to.to_str().unwrap()]);
        let sign = sign(&to);
        assert!(killed_when(child, || sign.exists()), "{name} was done before it was killed");
        assert_ne!(bed.verify(&to).code, Some(0), "{name}");
        assert_eq!(bed.verify(&sign).code, Some(4), "{name}");
        bed.restore(&to, &bed.path("never")).refused(4, "");
    }
    // The PostgreSQL that a killed backup had started is in nobody's way, nor is a part.
    bed.backup(&bed.path("c.nxb")).done();
    bed.verify(&bed.path("c.nxb")).done();
    bed.end().await;
}

#[tokio::test]
async fn a_restore_that_was_killed_can_be_begun_again_and_no_host_starts_before() {
    let bed = Bed::filled().await;
    let backup = bed.path("backup");
    bed.backup(&backup).done();
    let into = bed.path("new");
    let moments: [(&str, fn(&Path) -> bool); 3] = [
        ("the sign is there", |home| home.join("restoring").exists()),
        ("the cluster is there", |home| home.join("pg/complete").exists()),
        ("objects are there", |home| home.join("blobs/buckets/films").exists()),
    ];
    for (name, reached) in moments {
        let (from, home) = (backup.to_str().unwrap(), into.to_str().unwrap());
        let arguments = ["restore", "--verify", "--from", from, "--into", home];
        let child = spawned(&bed, &arguments);
        assert!(killed_when(child, || reached(&into)), "{name}: it ended by itself");
        let mut up = bed.command(&into, &["up", "--listen", "127.0.0.1:0"]);
        up.args(["--admin-listen", "127.0.0.1:0"]);
        Told::from(up.output().unwrap()).refused(1, "nexus restore");
    }
    let restored = bed.restore(&backup, &into).done();
    assert_eq!(restored["begun_again"], true);
    compared(&restored);
    objects_are_those_of_the_test(&into).await;
    assert!(!into.join("restoring").exists());
}
