//! Keeping up: looks for notices, acts on them in the order that makes them safe (first what is
//! read anew, then what is no longer believed), answers requests that miss, and writes uses back.

use super::Inner;
use super::tenants::Brands;
use super::versions::KEYS;
use crate::key_set::KeySet;
use nexus_storage::Error;
use nexus_storage::identity::{Identity as Storage, News, Notice, Notices};
use std::convert::Infallible;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Without a hint, notices are looked for so often: half of the second that is promised.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// With hints, at most so often: they stand for any work, not only for this.
const LOOK_GAP: Duration = Duration::from_millis(40);

/// A look that takes longer has failed: the connection may be dead without a word.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Everything is read anew now and then, whatever the notices say: rows may be changed by hand.
const READ_ANEW_EVERY: Duration = Duration::from_secs(600);

const WRITE_BACK_EVERY: Duration = Duration::from_secs(1);

/// Uses written by one statement.
const WRITE_BACK_MAX: usize = 5000;

const PURGE_EVERY: Duration = Duration::from_secs(300);
const PURGE_ROWS_MAX: u32 = 10_000;

/// The one who keeps a host's [`super::Identities`] up to date.
pub struct Follower {
    inner: Arc<Inner>,
    storage: Storage,
    notices: Notices,
    read: Option<Instant>,
}

impl Follower {
    pub(super) fn new(inner: Arc<Inner>, storage: Storage) -> Self {
        let notices = storage.notices();
        Self { inner, storage, notices, read: None }
    }

    /// Looks once, so that credentials are known from now on.
    ///
    /// # Errors
    ///
    /// Whatever the database says; [`Follower::run`] tries again.
    pub async fn look(&mut self) -> Result<(), Error> {
        let inner = self.inner.clone();
        let number = inner.begun.fetch_add(1, SeqCst) + 1;
        let at = inner.milliseconds();
        if self.read.is_none_or(|read| read.elapsed() > READ_ANEW_EVERY) {
            self.notices.forget();
        }
        let news = self.notices.look().await?;
        let acted = match news {
            News::Everything => self.read_anew().await,
            News::Changed(notices) => act(&inner, &self.storage, notices).await,
        };
        if acted.is_err() {
            // What was told is not acted upon, and is not told again.
            self.notices.forget();
        }
        acted?;
        inner.looked.store(at, SeqCst);
        inner.ended.send_replace(number);
        Ok(())
    }

    async fn read_anew(&mut self) -> Result<(), Error> {
        let (inner, storage) = (&self.inner, &self.storage);
        read_keys(inner, storage).await?;
        read_tenants(inner, storage).await?;
        inner.revocations.replace(storage.revocations().await?);
        inner.versions.all_changed();
        self.read = Some(Instant::now());
        Ok(())
    }

    /// Follows until it is dropped.
    pub async fn run(mut self) -> Infallible {
        let asked =
            self.inner.directory.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (inner, storage) = (self.inner.clone(), self.storage.clone());
        let answers = async {
            if let Some(mut asked) = asked {
                inner.answer_all(&storage, &mut asked).await;
            }
            std::future::pending::<Infallible>().await
        };
        let (written, purged) = (write_back(&inner, &storage), purge(&storage));
        tokio::select! {
            never = self.keep_looking() => never,
            never = answers => never,
            never = written => never,
            never = purged => never,
        }
    }

    async fn keep_looking(&mut self) -> Infallible {
        let mut hints = self.storage.listen();
        let mut told = false;
        loop {
            match tokio::time::timeout(LOOK_MAX, self.look()).await {
                Ok(Ok(())) => told = false,
                Ok(Err(error)) if error.is_unavailable() || told => {
                    tracing::debug!(%error, "what is known is believed for a while");
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot follow who may do what");
                    told = true;
                }
                // Cut in the middle, nobody knows what was acted upon.
                Err(_) => self.notices.forget(),
            }
            tokio::time::sleep(LOOK_GAP).await;
            tokio::select! {
                () = hints.poked() => {}
                () = self.inner.wanted.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY.mul_f64(rand::random_range(0.8..1.0))) => {}
            }
        }
    }
}

async fn read_keys(inner: &Inner, storage: &Storage) -> Result<(), Error> {
    let keys = storage.signing_keys().await?;
    let keys = KeySet::of_published(&keys, &inner.issuer, inner.default_tenant);
    inner.keys.store(Arc::new(keys));
    Ok(())
}

async fn read_tenants(inner: &Inner, storage: &Storage) -> Result<(), Error> {
    let tenants = storage.tenants().await?;
    inner.brands.store(Arc::new(Brands::new(&tenants)));
    Ok(())
}

/// First what is read anew, then what is no longer believed: whoever then asks reads what is new.
async fn act(inner: &Inner, storage: &Storage, notices: Vec<Notice>) -> Result<(), Error> {
    let mut revoked = Vec::new();
    let mut places = Vec::new();
    let (mut keys, mut tenants) = (false, false);
    for notice in notices {
        match notice {
            Notice::Keys => keys = true,
            Notice::Tenants => tenants = true,
            Notice::Revocation { tenant, kind, key } => revoked.push((tenant, kind, key)),
            Notice::Credential(id) => places.push(inner.credential_place(id)),
            Notice::Subject { tenant, subject } => {
                places.push(inner.subject_place(tenant, &subject));
            }
        }
    }
    if !revoked.is_empty() {
        inner.revocations.add(storage.revocations_of(&revoked).await?, inner.now());
    }
    if tenants {
        read_tenants(inner, storage).await?;
    }
    if keys {
        read_keys(inner, storage).await?;
        places.push(KEYS);
    }
    for place in places {
        inner.versions.changed(place);
    }
    Ok(())
}

async fn write_back(inner: &Inner, storage: &Storage) -> Infallible {
    loop {
        tokio::time::sleep(WRITE_BACK_EVERY).await;
        let touched = {
            let mut touched = inner.touched.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *touched)
        };
        let seen: Vec<_> = touched.into_iter().collect();
        for seen in seen.chunks(WRITE_BACK_MAX) {
            if let Err(error) = storage.seen(seen).await {
                // A minute later they are used again, or they were not in use.
                tracing::debug!(%error, "last uses are not written");
            }
        }
    }
}

async fn purge(storage: &Storage) -> Infallible {
    loop {
        tokio::time::sleep(PURGE_EVERY.mul_f64(rand::random_range(0.8..1.2))).await;
        match storage.purge(PURGE_ROWS_MAX).await {
            Err(error) if !error.is_unavailable() => {
                tracing::error!(%error, "cannot forget what has expired");
            }
            _ => {}
        }
    }
}
