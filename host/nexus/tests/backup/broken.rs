//! Backups that are not to be trusted, and places where nothing may be restored: each is refused in
//! words, before anything is written.

use super::Bed;
use std::fs;
use std::path::{Path, PathBuf};

/// The sealed packs of a backup folder.
fn pack(backup: &Path) -> PathBuf {
    backup.join("pack-00001.nxb")
}

/// A copy to be damaged.
fn copied(from: &Path, to: &Path) -> PathBuf {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return to.to_owned();
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to.to_owned()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn cut(file: &Path, by: u64) {
    let length = fs::metadata(file).unwrap().len();
    fs::File::options().write(true).open(file).unwrap().set_len(length - by).unwrap();
}

/// Neither verified nor restored, and the home is left alone.
#[track_caller]
fn refused(bed: &Bed, backup: &Path, word: &str) {
    bed.verify(backup).refused(4, word);
    let into = bed.path("never");
    bed.restore(backup, &into).refused(4, word);
    assert!(!into.exists(), "{word}: a home was begun");
}

#[tokio::test]
async fn a_backup_folder_that_was_damaged_is_refused_in_words() {
    let bed = Bed::filled().await;
    let whole = bed.path("whole");
    bed.backup(&whole).done();
    let damaged = |name: &str| copied(&whole, &bed.path(name));

    let backup = damaged("cut");
    cut(&pack(&backup), 1);
    refused(&bed, &backup, "was cut");

    let backup = damaged("changed");
    let middle = fs::metadata(pack(&backup)).unwrap().len() / 2;
    flip(&pack(&backup), usize::try_from(middle).unwrap());
    refused(&bed, &backup, "was changed");

    let backup = damaged("missing");
    fs::remove_file(pack(&backup)).unwrap();
    refused(&bed, &backup, "is missing");

    let backup = damaged("unfinished");
    fs::remove_file(backup.join("contents.nxb")).unwrap();
    refused(&bed, &backup, "not whole");

    let backup = damaged("list");
    flip(&backup.join("contents.nxb"), 100);
    refused(&bed, &backup, "list of contents");

    let backup = damaged("newer");
    let header = fs::read_to_string(backup.join("header.json")).unwrap();
    let newer = header.replace("\"version\":1", "\"version\":3");
    assert_ne!(newer, header);
    fs::write(backup.join("header.json"), newer).unwrap();
    refused(&bed, &backup, "format 3");

    let backup = damaged("header");
    let later = header.replace("\"made_at\":\"2", "\"made_at\":\"3");
    assert_ne!(later, header);
    fs::write(backup.join("header.json"), later).unwrap();
    refused(&bed, &backup, "header");

    refused(&bed, &bed.path("nothing"), "is no backup");

    fs::write(&bed.key, format!("{}=\n", "B".repeat(42) + "A")).unwrap();
    refused(&bed, &whole, "is not the one");
}

#[tokio::test]
async fn a_backup_file_that_was_damaged_is_refused_in_words() {
    let bed = Bed::filled().await;
    let whole = bed.path("whole.nxb");
    bed.backup(&whole).done();
    bed.verify(&whole).done();
    let damaged = |name: &str| copied(&whole, &bed.path(name));
    let length = usize::try_from(fs::metadata(&whole).unwrap().len()).unwrap();

    let backup = damaged("cut.nxb");
    cut(&backup, 1);
    refused(&bed, &backup, "not whole");

    let backup = damaged("changed.nxb");
    flip(&backup, length / 2);
    refused(&bed, &backup, "was changed");

    // The last byte before the trailer belongs to the contents.
    let backup = damaged("list.nxb");
    flip(&backup, length - 17);
    refused(&bed, &backup, "list of contents");

    let backup = bed.path("text.nxb");
    fs::write(&backup, "a text").unwrap();
    refused(&bed, &backup, "is no backup");
}

#[tokio::test]
async fn nothing_is_written_over() {
    let bed = Bed::filled().await;
    let backup = bed.path("backup");
    bed.backup(&backup).done();
    bed.backup(&backup).refused(3, "exists already");
    bed.restore(&backup, &bed.home).refused(3, "not empty");
    bed.verify(&backup).done();

    // Not even by somebody who forgot the key, or never made an installation.
    let mut command = bed.command(&bed.home, &["backup", "--to", "elsewhere"]);
    let told = super::Told::from(command.env_remove("NEXUS_BACKUP_KEY_FILE").output().unwrap());
    told.refused(2, "no key was given");
    let mut command = bed.command(&bed.path("no home"), &["backup", "--to", "elsewhere"]);
    super::Told::from(command.output().unwrap()).refused(1, "no installation");
    assert!(!bed.path("no home").exists());
}
