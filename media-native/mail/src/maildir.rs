//! A folder of messages in the form that mail programs read (maildir): each is written under `tmp`,
//! forced to disk, and moved to `new`, so that nobody ever sees half of one.

use crate::{Outcome, Output};
use nexus_media_protocol::Failure;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where messages are kept instead of being sent.
#[derive(Debug, Clone)]
pub struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Two attempts at one message leave one file: it is named after the message.
    pub(crate) fn deliver(
        &self,
        id: &str,
        from: &str,
        to: &str,
        message: &[u8],
    ) -> Result<Output, Failure> {
        // What a server that delivers adds at the front (RFC 5321 §4.4).
        let head = format!("Return-Path: <{from}>\r\nDelivered-To: {to}\r\n");
        match self.write(id, &[head.as_bytes(), message]) {
            Ok(()) => Ok(Output { result: Outcome::Delivered, code: None, permanent: false }),
            Err(error) => Err(Failure::retry(format!("the mail folder: {error}"))),
        }
    }

    fn write(&self, id: &str, parts: &[&[u8]]) -> io::Result<()> {
        for name in ["tmp", "new", "cur"] {
            // Only its owner: links in mail open accounts.
            DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join(name))?;
        }
        let new = self.folder.join("new");
        if find(&new, id)? || find(&self.folder.join("cur"), id)? {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}.{id}.nexus", now.as_secs());
        let draft = self.folder.join("tmp").join(format!("{name}.{:x}", rand::random::<u64>()));
        let written = self.keep(&draft, &new.join(&name), parts);
        if written.is_err() {
            let _gone = fs::remove_file(&draft);
        }
        written
    }

    fn keep(&self, draft: &Path, place: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(draft, place)?;
        // Without this the name may be lost with the power, though the bytes are not.
        File::open(self.folder.join("new"))?.sync_all()
    }
}

/// Whether the message lies there already, under whatever time and flags.
fn find(folder: &Path, id: &str) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().split('.').nth(1) == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_message_lies_there_whole_once_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mail");
        let maildir = Maildir::new(&folder);
        for _ in 0..2 {
            let output = maildir.deliver("m-1", "a@b.c", "d@e.f", b"Subject: x\r\n\r\ny").unwrap();
            assert_eq!(output.result, Outcome::Delivered);
        }
        let kept = files(&folder.join("new"));
        assert_eq!(kept.len(), 1);
        let text = fs::read_to_string(&kept[0]).unwrap();
        assert_eq!(text, "Return-Path: <a@b.c>\r\nDelivered-To: d@e.f\r\nSubject: x\r\n\r\ny");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept[0]), mode(&folder.join("new"))), (0o600, 0o700));
        assert!(files(&folder.join("tmp")).is_empty());
    }

    #[test]
    fn a_message_that_was_read_is_not_delivered_again() {
        let home = tempfile::tempdir().unwrap();
        let maildir = Maildir::new(home.path());
        maildir.deliver("m-1", "a@b.c", "d@e.f", b"x").unwrap();
        let kept = files(&home.path().join("new")).remove(0);
        let name = kept.file_name().unwrap().to_string_lossy().into_owned();
        fs::rename(&kept, home.path().join("cur").join(format!("{name}:2,S"))).unwrap();
        maildir.deliver("m-1", "a@b.c", "d@e.f", b"x").unwrap();
        assert!(files(&home.path().join("new")).is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let failed = Maildir::new(file).deliver("m", "a@b.c", "d@e.f", b"x").unwrap_err();
        assert!(matches!(failed, Failure::Retry { .. }), "{failed:?}");
    }
}
