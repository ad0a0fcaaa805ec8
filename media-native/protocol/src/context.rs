//! What a worker may do besides computing: its folder, objects in and out, progress, checkpoints,
//! outside programs. Blocks the worker's own thread, and ends early when the worker is to stop.

use crate::client::Client;
use crate::error::Error;
use crate::program::{Ended, Program, ProgramError};
use crate::wire::{CheckpointRequest, Object, Progress, Readable, Target, UrlsRequest, Writable};
use crate::worker::Failure;
use futures::StreamExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;

/// Tries of one transfer or call, with pauses that double from the first one on: some 15 s.
const TRIES: u32 = 6;
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Objects whose URLs are asked for at once: what the host gives at most.
const URLS_MAX: usize = 100;
/// Files sent at once: the store is near, and a disk has one head or a few channels.
const SENDS_MAX: usize = 8;
/// What the host keeps of a stage.
const STAGE_CHARS_MAX: usize = 100;

/// Why the work is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Cancelled,
    Deadline,
    /// The lease is another's or over.
    Lost,
    /// This process ends.
    ShutDown,
}

pub(crate) type Stopping = watch::Sender<Option<Why>>;

/// One attempt's surroundings.
pub struct Context {
    pub(crate) client: Client,
    pub(crate) handle: Handle,
    pub(crate) job: Uuid,
    pub(crate) lease: String,
    pub(crate) folder: PathBuf,
    pub(crate) checkpoint: Option<Object>,
    pub(crate) stop: Stopping,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) fetched: AtomicU32,
}

/// A file that is to be an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub file: PathBuf,
    pub object: Object,
    pub content_type: &'static str,
}

/// An object as a file in the job's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub path: PathBuf,
    pub bytes: u64,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    pub content_type: Option<String>,
}

impl Context {
    /// The job's own folder; it is removed when the attempt ends.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an earlier attempt has left.
    pub fn checkpoint(&self) -> Option<&Object> {
        self.checkpoint.as_ref()
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// To be asked now and then in long computations.
    ///
    /// # Errors
    ///
    /// [`Failure::Stopped`] when the attempt is to end.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_stopped() { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// Tells how far the work is, 0 to 1, and what is being done; goes out with the next heartbeat.
    pub fn progress(&self, fraction: f32, stage: &str) {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        let stage: String = stage.chars().take(STAGE_CHARS_MAX).collect();
        let stage = (!stage.is_empty()).then_some(stage);
        self.progress.send_replace(Progress { fraction, stage });
    }

    /// Copies an object into the job's folder.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when there is no such object, it is larger than `bytes_max`, or in a
    /// bucket that the job's service has no grant for.
    pub fn fetch(&self, object: &Object, bytes_max: u64) -> Result<Fetched, Failure> {
        let number = self.fetched.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("object-{number}"));
        self.block(self.patiently(async || self.fetch_once(object, &path, bytes_max).await))
    }

    async fn fetch_once(&self, object: &Object, to: &Path, limit: u64) -> Result<Fetched, Error> {
        let from = self.readable(object).await?;
        if from.size > limit {
            return Err(Error::TooLarge { limit });
        }
        // An earlier try may have left half of it.
        if let Err(source) = tokio::fs::remove_file(to).await
            && source.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::File { path: to.to_owned(), source });
        }
        let arrived = self.client.http.fetch(&from.url, to, limit).await?;
        let whole = arrived.bytes == from.size
            && from.sha256.as_ref().is_none_or(|sha256| *sha256 == arrived.sha256);
        if !whole {
            // It may have been replaced between the two calls.
            return Err(Error::Away { url: name(object), reason: "its bytes have changed".into() });
        }
        Ok(Fetched {
            path: to.to_owned(),
            bytes: arrived.bytes,
            sha256: arrived.sha256,
            content_type: from.content_type,
        })
    }

    /// Where an object can be read in pieces, for a few minutes.
    ///
    /// # Errors
    ///
    /// As [`Context::fetch`].
    pub fn readable_url(&self, object: &Object) -> Result<Readable, Failure> {
        self.block(self.patiently(async || self.readable(object).await))
    }

    async fn readable(&self, object: &Object) -> Result<Readable, Error> {
        let (read, write) = (vec![object.clone()], Vec::new());
        let request = UrlsRequest { lease: self.lease.clone(), read, write };
        let reply = self.client.urls(self.job, &request).await?;
        reply.read.into_iter().next().ok_or_else(|| without_url(object))
    }

    /// Stores a file as an object, whole or not at all. Returns its size.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when the bucket is not granted to the job's service.
    pub fn put(&self, file: &Path, object: &Object, content_type: &str) -> Result<u64, Failure> {
        self.block(self.patiently(async || self.put_once(file, object, content_type).await))
    }

    /// Stores files as objects, several at a time and in no order; each whole or not at all.
    /// Returns when all are there.
    ///
    /// # Errors
    ///
    /// As [`Context::put`]; some may be stored then.
    pub fn put_all(&self, files: &[Outgoing]) -> Result<(), Failure> {
        for batch in files.chunks(URLS_MAX) {
            let mut left: Vec<&Outgoing> = batch.iter().collect();
            self.block(self.patiently(async || self.put_batch(&mut left).await))?;
        }
        Ok(())
    }

    /// Takes out of `left` what is stored.
    async fn put_batch(&self, left: &mut Vec<&Outgoing>) -> Result<(), Error> {
        let mut write = Vec::with_capacity(left.len());
        for outgoing in left.iter() {
            write.push(target(&outgoing.file, &outgoing.object, outgoing.content_type).await?);
        }
        let request = UrlsRequest { lease: self.lease.clone(), read: Vec::new(), write };
        let reply = self.client.urls(self.job, &request).await?;
        if let Some(without) = left.get(reply.write.len()) {
            return Err(without_url(&without.object));
        }
        let sends = left.iter().zip(&reply.write).map(|(outgoing, to)| async move {
            let http = &self.client.http;
            http.send_file(&to.method, &to.url, &to.headers, &outgoing.file).await.map(|_| ())
        });
        let sends: Vec<_> = sends.collect();
        let sent: Vec<_> = futures::stream::iter(sends).buffered(SENDS_MAX).collect().await;
        let mut kept = sent.iter().map(Result::is_err);
        left.retain(|_| kept.next().unwrap_or(true));
        sent.into_iter().collect()
    }

    async fn put_once(&self, file: &Path, to: &Object, content_type: &str) -> Result<u64, Error> {
        let (read, write) = (Vec::new(), vec![target(file, to, content_type).await?]);
        let request = UrlsRequest { lease: self.lease.clone(), read, write };
        let reply = self.client.urls(self.job, &request).await?;
        let Some(Writable { method, url, headers }) = reply.write.into_iter().next() else {
            return Err(without_url(to));
        };
        self.client.http.send_file(&method, &url, &headers, file).await
    }

    /// Remembers an object from which a later attempt can go on.
    ///
    /// # Errors
    ///
    /// [`Failure::Stopped`] when the lease is lost.
    pub fn keep_checkpoint(&self, object: &Object) -> Result<(), Failure> {
        let request = CheckpointRequest { lease: self.lease.clone(), checkpoint: object.clone() };
        self.block(self.patiently(async || self.client.checkpoint(self.job, &request).await))
    }

    /// Runs a program in the job's folder to its end and keeps its output.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Stopped`] when the attempt is to end; then nothing of the program runs any
    /// more. What another error means, the worker decides.
    pub fn run(&self, program: &Program) -> Result<Ended, ProgramError> {
        self.handle.block_on(program.run(&self.folder, self.stop.subscribe(), None))
    }

    /// As [`Context::run`]; `on_line` gets each line of the output, and says whether the line shows
    /// that the work goes on.
    ///
    /// # Errors
    ///
    /// As [`Context::run`].
    pub fn follow(
        &self,
        program: &Program,
        on_line: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Ended, ProgramError> {
        let stop = self.stop.subscribe();
        self.handle.block_on(program.run(&self.folder, stop, Some(on_line)))
    }

    /// Tries again while waiting may help; a lost lease ends the attempt.
    async fn patiently<T>(
        &self,
        mut call: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let (mut pause, mut tries) = (PAUSE_FIRST, 1);
        loop {
            match call().await {
                Err(error) if error.is_passing() && tries < TRIES => {
                    tracing::debug!(%error, job = %self.job, "a transfer is tried again");
                    tokio::time::sleep(pause).await;
                    (pause, tries) = (pause * 2, tries + 1);
                }
                Err(error) => return Err(self.failure(error)),
                Ok(value) => return Ok(value),
            }
        }
    }

    fn failure(&self, error: Error) -> Failure {
        match error {
            Error::Stale(reason) => {
                tracing::warn!(job = %self.job, reason, "the lease is lost");
                self.stop.send_replace(Some(Why::Lost));
                Failure::Stopped
            }
            Error::Refused { .. } | Error::TooLarge { .. } => Failure::reject(error),
            error => Failure::retry(error),
        }
    }

    fn block<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut stop = self.stop.subscribe();
        self.handle.block_on(async {
            tokio::select! {
                done = call => done,
                _ = stop.wait_for(Option::is_some) => Err(Failure::Stopped),
            }
        })
    }
}

async fn target(file: &Path, object: &Object, content_type: &str) -> Result<Target, Error> {
    let found = tokio::fs::metadata(file).await;
    let size = found.map_err(|source| Error::File { path: file.to_owned(), source })?.len();
    let content_type = Some(content_type.to_owned());
    Ok(Target { object: object.clone(), content_type, size: Some(size) })
}

fn name(object: &Object) -> String {
    format!("{}/{}", object.bucket, object.key)
}

fn without_url(object: &Object) -> Error {
    Error::Unreadable { url: name(object), reason: "the host gave no URL".into() }
}
