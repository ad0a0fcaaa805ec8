//! The archive of the private server's log: a folder in which each part of it is a sealed file of
//! its own. The server puts what it has finished into a spool; from there it is sealed, brought to
//! the disk, and taken away. Refuses to know how a database is made again from it.

use super::check::Backup;
use super::contents::{Configuration, Contents, What};
use super::pack::Packs;
use super::{Given, VERSION};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an idle server waits until it finishes a part, where nothing else is said.
const SECONDS: u32 = 60;

/// How often the spool is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Held by whoever seals: a host, the one that takes its place, a backup.
const LOCK: &str = "sealing";

/// Where the log of a private server goes.
#[derive(Clone)]
pub struct Archive {
    pub folder: PathBuf,
    pub given: Given,
    /// After how many seconds a part is finished that is not full.
    pub seconds: u32,
}

impl Archive {
    /// In a folder, with the default of seconds.
    pub fn new(folder: PathBuf, given: Given) -> Self {
        Self { folder, given, seconds: SECONDS }
    }

    /// Seals what is in the spool, oldest first, whenever there is something; never returns.
    pub async fn follow(self, spool: PathBuf) {
        let mut last = String::new();
        loop {
            let (archive, from) = (self.clone(), spool.clone());
            let sealed = tokio::task::spawn_blocking(move || archive.seal(&from)).await;
            let words = match sealed {
                Ok(Ok(_)) => String::new(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(error) => error.to_string(),
            };
            if words != last {
                match words.is_empty() {
                    true => tracing::info!("the log of the database is archived again"),
                    false => tracing::error!(
                        error = words,
                        "the log of the database is not archived, and fills this disk"
                    ),
                }
                last = words;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Seals what is in the spool; returns how many parts.
    ///
    /// Fails when the archive cannot be written, or has another part under the same name: then it
    /// belongs to another server.
    pub fn seal(&self, spool: &Path) -> Result<usize> {
        let waiting = waiting(spool)?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let folder = &self.folder;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("make {}", folder.display()))?;
        let lock = File::options().create(true).truncate(false).write(true).open(spool.join(LOCK));
        let lock = lock.context("open the lock of the spool")?;
        lock.lock().context("wait for who seals now")?;
        let mut sealed = 0;
        for (name, file) in waiting {
            let bytes = match fs::read(&file) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(format!("read {}", file.display())),
            };
            self.put(&name, &bytes).with_context(|| format!("archive {name}"))?;
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
            sealed += 1;
        }
        Ok(sealed)
    }

    /// One part. The server may bring the same one twice.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let to = self.folder.join(format!("{name}.nxb"));
        if to.exists() {
            let mut known = Vec::new();
            self.open(&to, |piece| {
                known.extend_from_slice(piece);
                Ok(())
            })?;
            known.resize(bytes.len().max(known.len()), 0);
            ensure!(known == bytes, "{} is of another server: give each a folder", to.display());
            return Ok(());
        }
        // What was finished before it was full ends with zeros, megabytes of them.
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut packs = Packs::begin(&to, &self.given, VERSION)?;
        let length = bytes.len() as u64;
        packs.whole(What::Wal { name: name.to_owned(), length }, &bytes[..end])?;
        packs.finish(Contents {
            host: crate::VERSION.into(),
            made_at: String::new(),
            database: None,
            packs: Vec::new(),
            entries: Vec::new(),
            configuration: Configuration::default(),
            base: None,
        })?;
        Ok(())
    }

    /// Hands the bytes of a sealed part on, without the zeros at its end; returns its name and its
    /// length with them.
    fn open(&self, file: &Path, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<(String, u64)> {
        let backup = Backup::open(file, &self.given)?;
        let entry = backup.contents.entries.first().map(|entry| &entry.what);
        let Some(What::Wal { name, length }) = entry else {
            bail!("{} is no part of a log", file.display());
        };
        let mut reading = backup.entry(0)?;
        while let Some(piece) = reading.next()? {
            to(&piece)?;
        }
        Ok((name.clone(), *length))
    }

    /// Every sealed part from `wal` on, and what tells of other timelines, by name.
    fn since(&self, wal: &str) -> Result<Vec<(String, PathBuf)>> {
        let needed = |name: &str| position(name).is_none_or(|at| Some(at) >= position(wal));
        let mut parts = files(&self.folder)?;
        parts.retain(|(name, _)| needed(name));
        Ok(parts)
    }

    /// Opens everything from `wal` on into `folder`; returns how many parts of the log that were,
    /// and the last.
    ///
    /// Fails when one is missing in between, or is not what was written.
    pub(super) fn replay(&self, wal: &str, folder: &Path) -> Result<(usize, Option<String>)> {
        let (mut parts, mut last) = (0, None);
        for (name, file) in self.since(wal)? {
            let to = folder.join(&name);
            let mut out = File::create(&to).with_context(|| format!("make {}", to.display()))?;
            let (sealed, length) = self.open(&file, |piece| Ok(out.write_all(piece)?))?;
            ensure!(sealed == name, "{} holds {sealed}", file.display());
            out.set_len(length).with_context(|| format!("write {}", to.display()))?;
            if position(&name).is_some() && name.len() == SEGMENT {
                parts += 1;
                last = Some(name);
            }
        }
        ensure!(
            folder.join(wal).exists(),
            "the archive in {} lacks {wal}, where the copy of the server's files begins",
            self.folder.display()
        );
        Ok((parts, last))
    }

    /// Removes what comes before `wal`; returns how many parts.
    pub(super) fn forget_before(&self, wal: &str) -> Result<usize> {
        let mut gone = 0;
        for (name, file) in files(&self.folder)? {
            if position(&name).is_some_and(|at| Some(at) < position(wal)) {
                fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

/// Letters in the name of a part: timeline, and twice eight of the position.
const SEGMENT: usize = 24;

/// Where a part stands in the log, whichever timeline it is on; None for a timeline's history.
fn position(name: &str) -> Option<&str> {
    name.get(8..SEGMENT)
}

/// What PostgreSQL names so: a part, a label of a backup beside one, a timeline's history.
fn is_of_a_log(name: &str) -> bool {
    let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    match kind {
        "" | "partial" => stem.len() == SEGMENT && hex(stem),
        "history" => stem.len() == 8 && hex(stem),
        label => {
            let offset = label.strip_suffix(".backup");
            stem.len() == SEGMENT && hex(stem) && offset.is_some_and(hex)
        }
    }
}

/// What the server has finished, oldest first.
pub(crate) fn waiting(spool: &Path) -> Result<Vec<(String, PathBuf)>> {
    listed(spool, |name| Some(name).filter(|name| is_of_a_log(name)))
}

fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    listed(folder, |name| name.strip_suffix(".nxb").filter(|name| is_of_a_log(name)))
}

fn listed(folder: &Path, of: impl Fn(&str) -> Option<&str>) -> Result<Vec<(String, PathBuf)>> {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {shown}"))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("list {shown}"))?;
        if let Some(name) = entry.file_name().to_str().and_then(&of) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    const ONE: &str = "000000010000000000000001";
    const TWO: &str = "000000010000000000000002";

    fn archive(folder: &Path) -> Archive {
        let given = Given::Key(Zeroizing::new([3; 32]));
        Archive { folder: folder.join("archive"), given, seconds: 60 }
    }

    #[test]
    fn a_part_comes_back_with_its_zeros_and_one_of_another_server_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let (archive, spool) = (archive(top.path()), top.path().join("spool"));
        let replay = top.path().join("replay");
        fs::create_dir(&spool).unwrap();
        fs::create_dir(&replay).unwrap();
        let part = [vec![7; 100], vec![0; 4_000]].concat();
        for name in [ONE, TWO, "00000002.history"] {
            fs::write(spool.join(name), &part).unwrap();
        }
        fs::write(spool.join(format!("{TWO}.part")), "half").unwrap();
        assert_eq!(archive.seal(&spool).unwrap(), 3);
        assert_eq!(archive.seal(&spool).unwrap(), 0);
        let text = fs::read(archive.folder.join(format!("{ONE}.nxb"))).unwrap();
        assert!(text.len() < 2_000 && !text.windows(20).any(|bytes| bytes == [7; 20]));

        assert_eq!(archive.replay(TWO, &replay).unwrap(), (1, Some(TWO.to_owned())));
        assert!(!replay.join(ONE).exists() && replay.join("00000002.history").exists());
        assert_eq!(fs::read(replay.join(TWO)).unwrap(), part);

        fs::write(spool.join(ONE), &part).unwrap();
        assert_eq!(archive.seal(&spool).unwrap(), 1, "the same part again");
        fs::write(spool.join(ONE), "something else").unwrap();
        assert!(format!("{:#}", archive.seal(&spool).unwrap_err()).contains("another server"));

        assert_eq!(archive.forget_before(TWO).unwrap(), 1);
        let error = archive.replay(ONE, &replay).unwrap_err();
        assert!(format!("{error:#}").contains("lacks"), "{error:#}");
    }

    #[test]
    fn only_what_postgresql_names_so_is_taken_for_its_log() {
        for name in [ONE, "00000003.history", "000000010000000000000002.00000028.backup"] {
            assert!(is_of_a_log(name), "{name}");
        }
        for name in ["sealing", "000000010000000000000001.part", "../x", "00000003"] {
            assert!(!is_of_a_log(name), "{name}");
        }
    }
}
