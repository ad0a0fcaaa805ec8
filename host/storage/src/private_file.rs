//! Files that are made once and that only their owner reads: secrets, keys, tokens. They appear
//! whole or not at all, so that a host that was killed meanwhile leaves nothing that the next one
//! stumbles over.

use std::fs;
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use uuid::Uuid;

/// Makes `file` (mode 0600) with `bytes`, on the disk when this returns. False when it is there
/// already; then nothing is changed.
///
/// # Errors
///
/// What the file system says.
pub fn make_once(file: &Path, bytes: &[u8]) -> Result<bool, Error> {
    if file.try_exists()? {
        return Ok(false);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let part = file.with_file_name(format!("{name}.{}.part", Uuid::now_v7()));
    let linked = written(&part, bytes).and_then(|()| fs::hard_link(&part, file));
    // What a kill leaves of it is as private as the file.
    let removed = fs::remove_file(&part);
    match linked {
        Ok(()) => removed.map(|()| true),
        // Somebody else was first: a rename would have replaced theirs.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn written(part: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(0o600).open(part)?;
    new.write_all(bytes)?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_first_one_makes_it_and_nobody_ever_sees_less_than_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let makers: Vec<Vec<u8>> = (0..8).map(|maker| vec![maker; 4096]).collect();
        let made: Vec<bool> = std::thread::scope(|threads| {
            let make = |bytes: &'_ Vec<u8>| make_once(&file, bytes).unwrap();
            let started: Vec<_> =
                makers.iter().map(|bytes| threads.spawn(move || make(bytes))).collect();
            while !file.exists() {
                std::thread::yield_now();
            }
            assert!(makers.contains(&fs::read(&file).unwrap()), "it appears whole");
            started.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        let first = made.iter().position(|made| *made).unwrap();
        assert_eq!(fs::read(&file).unwrap(), makers[first]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
    }
}
