//! The files behind an embedded store: their format, and how the state is read back from them.
//! Refuses to know when they are written.
//!
//! `<n>.log` holds changes in order; `<n>.snapshot` holds the state when `<n>.log` began, or a
//! later one, which comes to the same: replaying a change twice changes nothing. A record is
//!
//! ```text
//! crc32 of what follows | body's bytes | kind | label's bytes | key's bytes | label key value
//!        u32 LE         |    u32 LE    |  u8  |    u16 LE     |   u16 LE    |
//! ```
//!
//! A record that ends at, or reaches beyond, the end of the last log is what a crash in the
//! middle of a write leaves behind; it was never acknowledged and is cut off. Anything else that
//! does not check is damage, and the host says so instead of guessing.

use crate::KeyValueError;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"nexuskv1";
const HEAD: usize = 8;
/// kind, label length, key length.
const BODY_HEAD: usize = 5;
/// No honest body is longer; a length beyond it is a broken record, not an allocation.
const BODY_MAX: usize = BODY_HEAD + 65_535 + 65_535 + crate::VALUE_BYTES_MAX;

const SET: u8 = 1;
const DELETE: u8 = 2;
/// Closes a snapshot: one without it was not finished.
const END: u8 = 3;

/// One change, read back.
pub(crate) enum Change {
    Set { label: String, key: String, value: Bytes },
    Delete { label: String, key: String },
}

pub(crate) fn encode_header(out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
}

pub(crate) fn encode_set(out: &mut Vec<u8>, label: &str, key: &str, value: &[u8]) {
    encode(out, SET, label, key, value);
}

pub(crate) fn encode_delete(out: &mut Vec<u8>, label: &str, key: &str) {
    encode(out, DELETE, label, key, &[]);
}

pub(crate) fn encode_end(out: &mut Vec<u8>) {
    encode(out, END, "", "", &[]);
}

fn encode(out: &mut Vec<u8>, kind: u8, label: &str, key: &str, value: &[u8]) {
    let length = |text: &str| {
        u16::try_from(text.len()).expect("labels and keys are checked before they get here")
    };
    let start = out.len();
    let body = BODY_HEAD + label.len() + key.len() + value.len();
    let body = u32::try_from(body).expect("values are checked before they get here");
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&body.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&length(label).to_le_bytes());
    out.extend_from_slice(&length(key).to_le_bytes());
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value);
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What was found in a folder.
pub(crate) struct Recovered {
    /// The log to go on with, cut to its last whole record.
    pub(crate) log: PathBuf,
    pub(crate) number: u64,
    pub(crate) log_bytes: u64,
}

pub(crate) fn log_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

pub(crate) fn snapshot_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.snapshot"))
}

/// Reads a folder's state, calling `apply` with each change in order, and removes what a crash
/// left half done.
pub(crate) fn recover(
    folder: &Path,
    mut apply: impl FnMut(Change) -> Result<(), KeyValueError>,
) -> Result<Recovered, KeyValueError> {
    let found = list(folder).map_err(io_error("read", folder))?;
    let base = found.snapshots.last().copied();
    if let Some(number) = base {
        let path = snapshot_path(folder, number);
        let read = replay(&path, &mut apply)?;
        if !read.ended {
            return Err(KeyValueError::Damaged { file: path, offset: read.good });
        }
    }
    let first = base.unwrap_or(1);
    let logs: Vec<u64> = found.logs.iter().copied().filter(|n| *n >= first).collect();
    for (expected, number) in (first..).zip(&logs) {
        if expected != *number {
            return Err(KeyValueError::Damaged { file: log_path(folder, expected), offset: 0 });
        }
    }
    let mut log_bytes = 0;
    let last = logs.last().copied();
    for number in &logs {
        let path = log_path(folder, *number);
        let read = replay(&path, &mut apply)?;
        if read.good < read.length {
            if Some(*number) != last {
                return Err(KeyValueError::Damaged { file: path, offset: read.good });
            }
            cut(&path, &read)?;
        }
        log_bytes += read.good;
    }
    remove_older(folder, first)?;
    let number = last.unwrap_or(first);
    Ok(Recovered { log: log_path(folder, number), number, log_bytes })
}

fn cut(path: &Path, read: &Replayed) -> Result<(), KeyValueError> {
    let bytes = read.length - read.good;
    tracing::warn!(file = %path.display(), bytes, "cut an unfinished write off the log");
    let file = File::options().write(true).open(path).map_err(io_error("open", path))?;
    file.set_len(read.good).map_err(io_error("cut", path))?;
    file.sync_all().map_err(io_error("sync", path))
}

/// Removes files that the snapshot of `first` replaces, and unfinished snapshots.
pub(crate) fn remove_older(folder: &Path, first: u64) -> Result<(), KeyValueError> {
    let found = list(folder).map_err(io_error("read", folder))?;
    let logs = found.logs.into_iter().filter(|n| *n < first).map(|n| log_path(folder, n));
    let snapshots = found.snapshots.into_iter().filter(|n| *n < first);
    let snapshots = snapshots.map(|n| snapshot_path(folder, n));
    for path in logs.chain(snapshots).chain(found.unfinished) {
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    logs: BTreeSet<u64>,
    snapshots: BTreeSet<u64>,
    unfinished: Vec<PathBuf>,
}

fn list(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        match (path.extension().and_then(|e| e.to_str()), number) {
            (Some("log"), Some(number)) => _ = found.logs.insert(number),
            (Some("snapshot"), Some(number)) => _ = found.snapshots.insert(number),
            (Some("part"), _) => found.unfinished.push(path),
            _ => {}
        }
    }
    Ok(found)
}

pub(crate) fn io_error<'a>(
    action: &'static str,
    file: &'a Path,
) -> impl Fn(io::Error) -> KeyValueError + 'a {
    move |error| KeyValueError::Io { action, file: file.into(), reason: error.to_string() }
}

struct Replayed {
    length: u64,
    /// Bytes of whole records, header included.
    good: u64,
    ended: bool,
}

fn replay(
    path: &Path,
    apply: &mut impl FnMut(Change) -> Result<(), KeyValueError>,
) -> Result<Replayed, KeyValueError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let length = file.metadata().map_err(io_error("open", path))?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut read = Replayed { length, good: 0, ended: false };
    let mut magic = [0; MAGIC.len()];
    if length < MAGIC.len() as u64 {
        return Ok(read);
    }
    input.read_exact(&mut magic).map_err(io_error("read", path))?;
    if &magic != MAGIC {
        return Err(KeyValueError::Damaged { file: path.into(), offset: 0 });
    }
    read.good = MAGIC.len() as u64;
    while read.good < length && !read.ended {
        match record(&mut input, length - read.good).map_err(io_error("read", path))? {
            Record::Whole { bytes, change } => {
                match change {
                    Some(change) => apply(change)?,
                    None => read.ended = true,
                }
                read.good += bytes;
            }
            Record::Torn => return Ok(read),
            Record::Damaged => {
                return Err(KeyValueError::Damaged { file: path.into(), offset: read.good });
            }
        }
    }
    Ok(read)
}

enum Record {
    /// Without a change it is the end of a snapshot.
    Whole {
        bytes: u64,
        change: Option<Change>,
    },
    Torn,
    Damaged,
}

fn record(input: &mut impl Read, left: u64) -> io::Result<Record> {
    if left < HEAD as u64 {
        return Ok(Record::Torn);
    }
    let mut head = [0; HEAD];
    input.read_exact(&mut head)?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (crc, length) = (word(0), word(4) as usize);
    let bytes = (HEAD + length) as u64;
    if head == [0; HEAD] {
        return rest_is_zero(input);
    }
    if !(BODY_HEAD..=BODY_MAX).contains(&length) {
        return Ok(Record::Damaged);
    }
    if bytes > left {
        return Ok(Record::Torn);
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[4..]);
    hasher.update(&body);
    if hasher.finalize() != crc {
        return Ok(if bytes == left { Record::Torn } else { Record::Damaged });
    }
    Ok(decode(body).map_or(Record::Damaged, |change| Record::Whole { bytes, change }))
}

/// A file system may grow a file before the bytes arrive: after a power failure its end is zeros.
fn rest_is_zero(input: &mut impl Read) -> io::Result<Record> {
    let mut block = [0; 4096];
    loop {
        match input.read(&mut block)? {
            0 => return Ok(Record::Torn),
            n if block[..n].iter().any(|byte| *byte != 0) => return Ok(Record::Damaged),
            _ => {}
        }
    }
}

fn decode(body: Vec<u8>) -> Option<Option<Change>> {
    let length = |at: usize| usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
    let label_end = BODY_HEAD + length(1);
    let key_end = label_end + length(3);
    let text =
        |from: usize, to: usize| std::str::from_utf8(body.get(from..to)?).ok().map(str::to_string);
    let (label, key) = (text(BODY_HEAD, label_end)?, text(label_end, key_end)?);
    match body[0] {
        SET => Some(Some(Change::Set { label, key, value: Bytes::from(body).slice(key_end..) })),
        DELETE => Some(Some(Change::Delete { label, key })),
        END => Some(None),
        _ => None,
    }
}
