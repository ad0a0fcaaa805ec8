//! The way of bytes from a request into the store: cut into parts, hashed as they pass, and never
//! acknowledged before they are safe. Refuses to know HTTP, and what the file will be.
//!
//! Two parts are in memory at most: one that fills, one on its way to the store. What is less than
//! a part is written to the database when the client leaves, and also while it sends slowly: a host
//! that is killed costs its client about half a second of sending and never a byte that was
//! acknowledged. A fast client fills the next part sooner than that.

use crate::bucket::{self, StoredPart};
use crate::domain::{ChecksumMismatch, MediaRefused, SNIFF_BYTES, Upload, UploadTooLarge, room};
use crate::finish::{self, Bytes as Whole};
use crate::hash::{Checksum, Running};
use crate::quota::Bounds;
use crate::sniff;
use crate::store::writing::{self, Arrived};
use futures::Stream;
use futures::future::BoxFuture;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::time::sleep;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How often a writer looks around: at the least that is worth a commit of its own.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Fewer new bytes wait for company, but not longer than [`KEEP_EVERY_MAX`].
const KEEP_BYTES_MIN: usize = 256 << 10;
const KEEP_EVERY_MAX: Duration = Duration::from_secs(2);
/// A part that will be full sooner is not written down before.
const SOON: Duration = Duration::from_millis(250);
/// A turn is kept by a word every so often (see [`writing::LEASE_SECONDS`]).
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A client that is silent for so long gives way to another that asks.
const SILENT: Duration = Duration::from_secs(1);

/// A writer at work on one upload.
pub struct Intake<'c> {
    by: &'c Ctx,
    upload: Upload,
    holder: Uuid,
    bounds: Bounds,
    checksum: Option<Checksum>,
    hash: Running,
    /// What came after the last full part.
    part: Vec<u8>,
    /// How much of `part` is in the database already.
    safe: usize,
    /// All bytes that came, safe or not.
    reaches: i64,
    sending: Option<Sending>,
    /// Parts that nobody may see before their checksum holds.
    withheld: Vec<StoredPart>,
    clock: Clock,
}

/// A part on its way to the store.
struct Sending {
    storing: BoxFuture<'static, Result<StoredPart>>,
    reaches: i64,
    hash: Running,
}

struct Clock {
    began: Instant,
    taken: u64,
    kept: Instant,
    renewed: Instant,
    heard: Instant,
}

impl Clock {
    fn start() -> Clock {
        let now = Instant::now();
        Clock { began: now, taken: 0, kept: now, renewed: now, heard: now }
    }

    /// Whether `bytes` more will take longer than [`SOON`] at this pace.
    fn is_far(&self, bytes: usize) -> bool {
        let pace = self.taken as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        bytes as f64 > pace * SOON.as_secs_f64()
    }
}

/// Why a body gave no more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    /// The client went away, or gave way to another.
    Cut,
}

enum Turn<E> {
    Sent(Result<StoredPart>),
    Came(Option<Result<Bytes, E>>),
    Looked,
}

impl<'c> Intake<'c> {
    /// Goes on where an upload stands. The caller has its turn, by `holder`.
    pub async fn resume(
        by: &'c Ctx,
        upload: Upload,
        holder: Uuid,
        bounds: Bounds,
        checksum: Option<Checksum>,
    ) -> Result<Intake<'c>> {
        let tail = writing::tail(by.db(), upload.id).await?;
        let hash = Running::resume(upload.hash_state.as_deref())?;
        let left = room(upload.length, upload.purpose) - upload.received;
        let (full, left) = (to_usize(upload.part_bytes), to_usize(left));
        let mut part = Vec::with_capacity(tail.len().saturating_add(left).min(full));
        part.extend_from_slice(&tail);
        Ok(Intake {
            by,
            holder,
            bounds,
            checksum,
            hash,
            safe: part.len(),
            part,
            reaches: upload.received,
            sending: None,
            withheld: Vec::new(),
            clock: Clock::start(),
            upload,
        })
    }

    /// Takes a whole body, or what comes of it, and makes all of it safe. Gives the upload as it
    /// stands then.
    ///
    /// # Errors
    /// A checksum that does not hold, a file that is not taken, too many bytes; after an error the
    /// upload stands where the last bytes were made safe.
    pub async fn take<S, E>(mut self, mut body: S) -> Result<Upload>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: Send,
    {
        let ended = self.drink(&mut body).await?;
        self.sent().await?;
        if let Some(checksum) = self.checksum.take()
            && (ended == Ended::Cut || !checksum.holds())
        {
            return Err(ChecksumMismatch.into());
        }
        self.recognise().await?;
        match self.upload.length == Some(self.reaches) {
            true => self.finish().await,
            false => {
                self.keep(true).await?;
                Ok(self.upload)
            }
        }
    }

    async fn drink<S, E>(&mut self, body: &mut S) -> Result<Ended>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: Send,
    {
        let mut alarm: BoxFuture<'static, ()> = Box::pin(sleep(LOOK_EVERY));
        loop {
            let turn = poll_fn(|cx| {
                if let Some(sending) = &mut self.sending
                    && let Poll::Ready(sent) = sending.storing.as_mut().poll(cx)
                {
                    return Poll::Ready(Turn::Sent(sent));
                }
                if let Poll::Ready(came) = Pin::new(&mut *body).poll_next(cx) {
                    return Poll::Ready(Turn::Came(came));
                }
                alarm.as_mut().poll(cx).map(|()| Turn::Looked)
            })
            .await;
            match turn {
                Turn::Sent(sent) => self.book(sent).await?,
                Turn::Came(None) => return Ok(Ended::Whole),
                Turn::Came(Some(Err(_))) => return Ok(Ended::Cut),
                Turn::Came(Some(Ok(bytes))) => self.swallow(&bytes).await?,
                Turn::Looked => alarm = Box::pin(sleep(LOOK_EVERY)),
            }
            if self.look_around().await? {
                return Ok(Ended::Cut);
            }
        }
    }

    async fn swallow(&mut self, bytes: &[u8]) -> Result<()> {
        self.clock.heard = Instant::now();
        self.clock.taken += bytes.len() as u64;
        let left = room(self.upload.length, self.upload.purpose) - self.reaches;
        if bytes.len() > to_usize(left) {
            return Err(UploadTooLarge.into());
        }
        let full = to_usize(self.upload.part_bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(full - self.part.len()));
            self.hash.update(now);
            if let Some(checksum) = &mut self.checksum {
                checksum.update(now);
            }
            self.part.extend_from_slice(now);
            self.reaches += now.len() as i64;
            rest = later;
            if self.part.len() == full {
                self.recognise().await?;
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Starts to store the part in memory, once the one before it is there.
    async fn send(&mut self) -> Result<()> {
        self.sent().await?;
        let key = self.upload.key();
        let multipart = match &self.upload.multipart {
            Some(open) => open.clone(),
            None => {
                let media_type = self.upload.media_type.as_deref().unwrap_or(sniff::UNKNOWN);
                let begun = bucket::begin(&key, media_type).await?;
                self.upload.multipart.insert(begun).clone()
            }
        };
        let left = room(self.upload.length, self.upload.purpose) - self.reaches;
        let next = Vec::with_capacity(to_usize(left.min(self.upload.part_bytes)));
        let full = std::mem::replace(&mut self.part, next);
        self.safe = 0;
        let number = self.upload.next_part;
        self.upload.next_part += 1;
        let storing = Box::pin(bucket::put_part(key, multipart, number, full));
        self.sending = Some(Sending { storing, reaches: self.reaches, hash: self.hash.clone() });
        Ok(())
    }

    /// Waits for the part on its way, and books it.
    async fn sent(&mut self) -> Result<()> {
        match &mut self.sending {
            Some(sending) => {
                let sent = sending.storing.as_mut().await;
                self.book(sent).await
            }
            None => Ok(()),
        }
    }

    /// A part is in the store: from now on it counts.
    async fn book(&mut self, sent: Result<StoredPart>) -> Result<()> {
        let Some(Sending { reaches, hash, .. }) = self.sending.take() else {
            return Ok(());
        };
        self.withheld.push(sent?);
        if self.checksum.is_some() {
            return Ok(());
        }
        let arrived = self.arrived(reaches, &hash, None, false);
        self.write(arrived).await
    }

    /// Makes all that came safe; `lets_go` gives the turn back.
    async fn keep(&mut self, lets_go: bool) -> Result<()> {
        let start = self.reaches - self.part.len() as i64;
        let fresh = self.part[self.safe..].to_vec();
        let tail = (!fresh.is_empty()).then_some((start + self.safe as i64, fresh));
        let arrived = self.arrived(self.reaches, &self.hash.clone(), tail, lets_go);
        self.write(arrived).await?;
        self.safe = self.part.len();
        Ok(())
    }

    fn arrived(
        &mut self,
        reaches: i64,
        hash: &Running,
        tail: Option<(i64, Vec<u8>)>,
        lets_go: bool,
    ) -> Arrived {
        let is_whole = self.upload.length == Some(reaches);
        let sha256 = is_whole.then(|| hash.digest());
        self.upload.received = reaches;
        self.upload.sha256.clone_from(&sha256);
        Arrived {
            reaches,
            hash_state: hash.state(),
            sha256,
            parts: std::mem::take(&mut self.withheld),
            tail,
            multipart: self.upload.multipart.clone(),
            next_part: self.upload.next_part,
            media_type: self.upload.media_type.clone(),
            lets_go,
        }
    }

    async fn write(&mut self, arrived: Arrived) -> Result<()> {
        let at = self.now();
        let keep = writing::keep(&self.upload, self.holder, arrived, &self.bounds, at);
        self.by.commit(keep).await?;
        self.clock.kept = Instant::now();
        self.clock.renewed = self.clock.kept;
        self.upload.expires_at = Some(crate::domain::expires(self.upload.created_at, at));
        Ok(())
    }

    /// What is done from time to time. True when the writer should give way.
    async fn look_around(&mut self) -> Result<bool> {
        let fresh = self.part.len() - self.safe;
        let (since, missing) =
            (self.clock.kept.elapsed(), to_usize(self.upload.part_bytes) - self.part.len());
        let worthwhile = fresh >= KEEP_BYTES_MIN && since >= LOOK_EVERY;
        let overdue = fresh > 0 && since >= KEEP_EVERY_MAX;
        let may_keep = self.checksum.is_none() && self.sending.is_none();
        if may_keep && (worthwhile && self.clock.is_far(missing) || overdue) {
            self.recognise().await?;
            self.keep(false).await?;
        }
        if self.clock.renewed.elapsed() < RENEW_EVERY {
            return Ok(false);
        }
        self.by.commit(writing::renew(self.upload.id, self.holder)).await?;
        self.clock.renewed = Instant::now();
        let silent = self.clock.heard.elapsed() >= SILENT;
        Ok(silent && writing::is_wanted(self.by.db(), self.upload.id).await?)
    }

    /// Looks what the file is as soon as that can be seen, and refuses it then.
    async fn recognise(&mut self) -> Result<()> {
        let at_start = self.reaches == self.part.len() as i64;
        let is_whole = self.upload.length == Some(self.reaches);
        let enough = self.part.len() >= SNIFF_BYTES || is_whole;
        if self.upload.media_type.is_some() || !at_start || !enough {
            return Ok(());
        }
        let head = &self.part[..self.part.len().min(SNIFF_BYTES)];
        let found = sniff::media_type(head);
        self.upload.media_type = Some(found.to_owned());
        match finish::refused_as(&self.upload) {
            Some(reason) => {
                finish::reject(self.by, &self.upload, self.holder, reason, self.now()).await?;
                Err(MediaRefused.because(format!("this is {found}")).into())
            }
            None => Ok(()),
        }
    }

    /// All bytes are here.
    async fn finish(mut self) -> Result<Upload> {
        if self.upload.multipart.is_some() {
            if !self.part.is_empty() {
                self.send().await?;
                self.sent().await?;
            }
            if !self.withheld.is_empty() || self.upload.sha256.is_none() {
                self.keep(false).await?;
            }
            let whole = finish::publish(self.by, &self.upload, self.holder, Whole::InParts).await;
            return self.done(whole).await;
        }
        self.upload.received = self.reaches;
        self.upload.sha256 = Some(self.hash.digest());
        let bytes = Whole::InMemory(self.part.clone());
        match finish::publish(self.by, &self.upload, self.holder, bytes).await {
            Err(Error::Failed(why) | Error::Unavailable { failure: why, .. }) => {
                // The store is away, the database is not: what the client sent is safe there.
                self.keep(false).await?;
                self.done(Err(why.into())).await
            }
            published => self.done(published).await,
        }
    }

    /// A file that is safe but not done is done later: to its client it has arrived.
    async fn done(self, published: Result<()>) -> Result<Upload> {
        match published {
            Err(Error::Failed(why) | Error::Unavailable { failure: why, .. }) => {
                Err::<(), _>(why).or_log("finish an upload at once; it is tried again");
                self.by.commit(writing::release(self.upload.id, self.holder)).await?;
            }
            other => other?,
        }
        Ok(self.upload)
    }

    /// The instant of this moment: a request may take hours.
    fn now(&self) -> Time {
        let elapsed = nexus_sdk::chrono::TimeDelta::from_std(self.clock.began.elapsed());
        self.by.now() + elapsed.unwrap_or_default()
    }
}

/// Here a `usize` has 32 bits, and a film has more bytes than that.
fn to_usize(bytes: i64) -> usize {
    usize::try_from(bytes.max(0)).unwrap_or(usize::MAX)
}
