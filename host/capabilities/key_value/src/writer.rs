//! The thread that writes an embedded store's log, many changes with one write, and the
//! compaction that keeps the log short. Refuses to know what the changes mean.
//!
//! A write that fails (a full disk, say) is not lost: the store refuses changes, keeps answering
//! reads, and tries again until the disk takes it.

use crate::KeyValueError;
use crate::embedded::{Durability, EmbeddedSettings};
use crate::log::{self, Recovered};
use crate::shards::Shards;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Bytes waiting for the disk before new changes are refused.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Between two tries to write what the disk refused; also the pace of [`Durability::EachSecond`].
const PACE: Duration = Duration::from_secs(1);

/// The way to the thread; dropping it writes what is pending and ends the thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    pending: Mutex<Pending>,
    work: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Number of the last change in `bytes` or before.
    last: u64,
    failed: Option<Arc<str>>,
    closing: bool,
}

#[derive(Clone, Default)]
struct Progress {
    /// The last change that is as durable as the settings ask for.
    done: u64,
    failed: Option<Arc<str>>,
}

impl Writer {
    pub(crate) fn start(
        folder: &Path,
        recovered: Recovered,
        shards: Arc<Shards>,
        settings: &EmbeddedSettings,
    ) -> Result<Self, KeyValueError> {
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            work: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
        });
        let files = Files::open(folder, recovered, shards, settings)?;
        let (of_thread, durability) = (shared.clone(), settings.durability);
        let thread = std::thread::Builder::new()
            .name("key-value-log".into())
            .spawn(move || run(&of_thread, files, durability))
            .map_err(log::io_error("start a thread for", folder))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes a change; the number is for [`Writer::written`].
    pub(crate) fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<u64, KeyValueError> {
        let mut pending = lock(&self.shared.pending);
        if let Some(reason) = &pending.failed {
            return Err(KeyValueError::Unavailable(reason.to_string()));
        }
        if pending.bytes.len() > PENDING_BYTES_MAX {
            return Err(KeyValueError::Unavailable("the disk is slower than the writers".into()));
        }
        encode(&mut pending.bytes);
        pending.last += 1;
        let number = pending.last;
        drop(pending);
        self.shared.work.notify_one();
        Ok(number)
    }

    /// Waits until a change is as durable as the settings ask for.
    pub(crate) async fn written(&self, number: u64) -> Result<(), KeyValueError> {
        let mut progress = self.shared.progress.subscribe();
        let settled = progress.wait_for(|p| p.done >= number || p.failed.is_some()).await;
        let settled = settled.expect("the sender lives in self");
        match &settled.failed {
            Some(reason) if settled.done < number => {
                Err(KeyValueError::Unavailable(reason.to_string()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.pending).closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            thread.join().ok();
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Shared, mut files: Files, durability: Durability) {
    let mut unsynced_since = None;
    loop {
        let (bytes, last, closing) = next_batch(shared, unsynced_since);
        let due = unsynced_since.is_some_and(|since: Instant| since.elapsed() >= PACE);
        let sync_now = durability == Durability::EachWrite || due || closing;
        match files.write(&bytes, sync_now) {
            Ok(()) => {
                unsynced_since = match sync_now {
                    true => None,
                    false if bytes.is_empty() => unsynced_since,
                    false => unsynced_since.or_else(|| Some(Instant::now())),
                };
                succeed(shared, last);
                files.compact_if_due();
            }
            Err(error) => {
                fail(shared, bytes, &error);
                if closing {
                    return files.close();
                }
                std::thread::sleep(PACE);
                continue;
            }
        }
        if closing && lock(&shared.pending).bytes.is_empty() {
            return files.close();
        }
    }
}

/// Sleeps until there is something to write or to sync.
fn next_batch(shared: &Shared, unsynced_since: Option<Instant>) -> (Vec<u8>, u64, bool) {
    let mut pending = lock(&shared.pending);
    while pending.bytes.is_empty() && !pending.closing {
        let left = unsynced_since.map(|since| PACE.saturating_sub(since.elapsed()));
        pending = match left {
            Some(Duration::ZERO) => break,
            Some(left) => {
                let woken = shared.work.wait_timeout(pending, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.work.wait(pending).unwrap_or_else(PoisonError::into_inner),
        };
    }
    (std::mem::take(&mut pending.bytes), pending.last, pending.closing)
}

fn succeed(shared: &Shared, last: u64) {
    if lock(&shared.pending).failed.take().is_some() {
        tracing::info!("the key-value store can be written again");
    }
    shared.progress.send_replace(Progress { done: last, failed: None });
}

/// Puts the bytes back in front of what came since; order is what makes a log.
fn fail(shared: &Shared, mut bytes: Vec<u8>, error: &io::Error) {
    let reason: Arc<str> = format!("its log cannot be written ({error})").into();
    let mut pending = lock(&shared.pending);
    if pending.failed.is_none() {
        tracing::error!(%error, "the key-value store refuses changes until the disk takes them");
    }
    bytes.append(&mut pending.bytes);
    pending.bytes = bytes;
    pending.failed = Some(reason.clone());
    drop(pending);
    shared.progress.send_modify(|progress| progress.failed = Some(reason));
}

/// The open log and what has to be known to shorten it.
struct Files {
    folder: PathBuf,
    file: File,
    number: u64,
    /// Bytes of the open log that are whole records.
    length: u64,
    /// Bytes of all logs since the last snapshot.
    log_bytes: u64,
    compact_bytes_min: u64,
    /// The file may end in half a write.
    torn: bool,
    /// A sync failed: what the system believes written may not be.
    suspect: bool,
    shards: Arc<Shards>,
    compaction: Option<JoinHandle<Result<(), KeyValueError>>>,
}

impl Files {
    fn open(
        folder: &Path,
        recovered: Recovered,
        shards: Arc<Shards>,
        settings: &EmbeddedSettings,
    ) -> Result<Self, KeyValueError> {
        let Recovered { log, number, log_bytes } = recovered;
        let (file, length) = open_log(folder, &log).map_err(log::io_error("open", &log))?;
        Ok(Self {
            folder: folder.into(),
            file,
            number,
            length,
            log_bytes,
            compact_bytes_min: settings.compact_bytes_min,
            torn: false,
            suspect: false,
            shards,
            compaction: None,
        })
    }

    fn write(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        if self.torn {
            // Half a record in the middle of a log would be damage.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
        }
        self.torn = true;
        self.file.write_all(bytes)?;
        self.torn = false;
        self.length += bytes.len() as u64;
        self.log_bytes += bytes.len() as u64;
        if !sync {
            return Ok(());
        }
        let synced = self.file.sync_data();
        self.suspect |= synced.is_err();
        synced
    }

    /// Starts a new log and writes the state beside it, when the logs hold mostly the past.
    fn compact_if_due(&mut self) {
        if let Some(running) = self.compaction.take() {
            if !running.is_finished() {
                self.compaction = Some(running);
                return;
            }
            self.finish_compaction(running);
        }
        let due = self.log_bytes >= self.compact_bytes_min.max(2 * self.shards.bytes());
        if !due && !self.suspect {
            return;
        }
        match self.rotate() {
            Ok(compaction) => {
                self.compaction = Some(compaction);
                self.suspect = false;
            }
            Err(error) => {
                tracing::warn!(%error, "the key-value log could not be shortened");
                // Asked again after as many bytes as made it due now.
                self.compact_bytes_min = self.compact_bytes_min.saturating_mul(2);
            }
        }
    }

    fn rotate(&mut self) -> io::Result<JoinHandle<Result<(), KeyValueError>>> {
        if !self.suspect {
            self.file.sync_data()?;
        }
        let number = self.number + 1;
        let (file, length) = open_log(&self.folder, &log::log_path(&self.folder, number))?;
        // From here on every change is in the new log; everything older is in memory already.
        self.file = file;
        self.number = number;
        self.length = length;
        self.log_bytes = length;
        let (folder, shards) = (self.folder.clone(), self.shards.clone());
        std::thread::Builder::new()
            .name("key-value-compaction".into())
            .spawn(move || snapshot(&folder, number, &shards))
    }

    fn finish_compaction(&self, running: JoinHandle<Result<(), KeyValueError>>) {
        match running.join() {
            Ok(Ok(())) => tracing::debug!(log = self.number, "key-value log shortened"),
            Ok(Err(error)) => tracing::warn!(%error, "the key-value log could not be shortened"),
            Err(_panic) => tracing::error!("the compaction of the key-value log panicked"),
        }
    }

    fn close(mut self) {
        if let Some(running) = self.compaction.take() {
            self.finish_compaction(running);
        }
    }
}

fn open_log(folder: &Path, path: &Path) -> io::Result<(File, u64)> {
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    let mut length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        let mut header = Vec::new();
        log::encode_header(&mut header);
        file.write_all(&header)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        length = header.len() as u64;
    }
    Ok((file, length))
}

fn snapshot(folder: &Path, number: u64, shards: &Shards) -> Result<(), KeyValueError> {
    let target = log::snapshot_path(folder, number);
    let part = target.with_extension("part");
    let written = write_snapshot(&part, shards).and_then(|()| {
        fs::rename(&part, &target)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(log::io_error("write", &target))?;
    log::remove_older(folder, number)
}

fn write_snapshot(part: &Path, shards: &Shards) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(part)?);
    let mut record = Vec::new();
    log::encode_header(&mut record);
    out.write_all(&record)?;
    shards.copy(|label, key, value| {
        record.clear();
        log::encode_set(&mut record, label, key, value);
        out.write_all(&record)
    })?;
    record.clear();
    log::encode_end(&mut record);
    out.write_all(&record)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}
