//! Credentials and subjects, looked up when they are first needed and kept until a notice says that
//! they have changed. Requests that miss together are answered by one query; strangers' guesses are
//! remembered for a moment. Refuses to know HTTP.

use super::Inner;
use super::held::Held;
use super::versions::{AsOf, Place};
use crate::generations::Generations;
use nexus_storage::Error;
use nexus_storage::identity::{Identity as Storage, Subject};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Credentials and subjects kept, in halves: everybody active in some minutes, 10 MB in all.
const KEPT_HALF: usize = 8192;

/// How long a secret that is none is remembered as such. Secrets are never guessed before they are
/// made, so this hides nothing.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Requests waiting for an answer; beyond that the database is as good as away.
const ASKS_MAX: usize = 4096;

/// Requests answered by one query.
const BATCH_MAX: usize = 256;

/// How long a request waits for its answer. A database that takes longer is away.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The answer is not known, and cannot be looked up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

type Answer<T> = Result<Option<Arc<T>>, Away>;

/// SHA-256, of a secret or of a subject's name.
type Digest = [u8; 32];

pub(crate) enum Ask {
    Credential(Digest, oneshot::Sender<Answer<Held>>),
    Subject((Uuid, String), oneshot::Sender<Answer<Subject>>),
}

/// What is kept of both.
pub(crate) struct Directory {
    credentials: Mutex<Generations<Digest, Kept<Held>>>,
    subjects: Mutex<Generations<Digest, Kept<Subject>>>,
    unknown: Mutex<Generations<Digest, Instant>>,
    asks: mpsc::Sender<Ask>,
    /// Taken by whoever answers.
    pub(super) asked: Mutex<Option<mpsc::Receiver<Ask>>>,
}

struct Kept<T> {
    value: Option<Arc<T>>,
    as_of: AsOf,
    place: Place,
}

impl Directory {
    pub(super) fn new() -> Self {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        Self {
            credentials: Mutex::new(Generations::new(KEPT_HALF)),
            subjects: Mutex::new(Generations::new(KEPT_HALF)),
            unknown: Mutex::new(Generations::new(KEPT_HALF)),
            asks,
            asked: Mutex::new(Some(asked)),
        }
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Answer<T>>) -> Ask,
    ) -> Result<Option<Arc<T>>, Away> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(ask(answer)).map_err(|_| Away)?;
        match tokio::time::timeout(WAIT_MAX, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Away),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn name_digest(tenant: Uuid, subject: &str) -> Digest {
    Sha256::new().chain_update(tenant.as_bytes()).chain_update(subject).finalize().into()
}

/// Looked up for one batch.
struct Wanted {
    credentials: HashMap<Digest, Vec<oneshot::Sender<Answer<Held>>>>,
    subjects: HashMap<(Uuid, String), Vec<oneshot::Sender<Answer<Subject>>>>,
}

impl Inner {
    /// The credential with this digest, unless there is none or it is revoked, expired or idle.
    pub(crate) async fn credential(&self, digest: &Digest) -> Answer<Held> {
        if let Some(known) = self.known_credential(digest) {
            return Ok(known);
        }
        self.directory.ask(|answer| Ask::Credential(*digest, answer)).await
    }

    /// The active subject of this name.
    pub(crate) async fn subject(&self, tenant: Uuid, subject: &str) -> Answer<Subject> {
        if let Some(known) = self.known_subject(&name_digest(tenant, subject)) {
            return Ok(known);
        }
        self.directory.ask(|answer| Ask::Subject((tenant, subject.to_owned()), answer)).await
    }

    /// Whether the digest was looked up a moment ago, in vain.
    pub(crate) fn is_known_stranger(&self, digest: &Digest) -> bool {
        let mut unknown = lock(&self.directory.unknown);
        unknown.get_mut(digest).is_some_and(|until| Instant::now() < *until)
    }

    fn known_credential(&self, digest: &Digest) -> Option<Option<Arc<Held>>> {
        if self.is_known_stranger(digest) {
            return Some(None);
        }
        let mut credentials = lock(&self.directory.credentials);
        let kept = credentials.get_mut(digest)?;
        let value = kept.value.as_ref()?;
        // Whoever seems idle may have been busy on another host.
        let good = self.stands(kept.as_of, &[kept.place]) && !value.is_idle(self.now());
        good.then(|| Some(value.clone()))
    }

    fn known_subject(&self, name: &Digest) -> Option<Option<Arc<Subject>>> {
        let mut subjects = lock(&self.directory.subjects);
        let kept = subjects.get_mut(name)?;
        self.stands(kept.as_of, &[kept.place]).then(|| kept.value.clone())
    }

    /// Answers for as long as somebody may ask.
    pub(super) async fn answer_all(&self, storage: &Storage, asked: &mut mpsc::Receiver<Ask>) {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let wanted = self.unanswered(batch.drain(..));
            self.answer(storage, wanted).await;
        }
    }

    /// Answers what an earlier batch has found; the rest is to be looked up, each once.
    fn unanswered(&self, batch: impl Iterator<Item = Ask>) -> Wanted {
        let mut wanted = Wanted { credentials: HashMap::new(), subjects: HashMap::new() };
        for ask in batch {
            match ask {
                Ask::Credential(digest, answer) => match self.known_credential(&digest) {
                    Some(known) => drop(answer.send(Ok(known))),
                    None => wanted.credentials.entry(digest).or_default().push(answer),
                },
                Ask::Subject(name, answer) => {
                    match self.known_subject(&name_digest(name.0, &name.1)) {
                        Some(known) => drop(answer.send(Ok(known))),
                        None => wanted.subjects.entry(name).or_default().push(answer),
                    }
                }
            }
        }
        wanted
    }

    async fn answer(&self, storage: &Storage, wanted: Wanted) {
        let Wanted { credentials, mut subjects } = wanted;
        if !credentials.is_empty() {
            let found = self.look_up_credentials(storage, credentials.keys()).await;
            // Whoever has a credential asks for its subject next.
            for held in found.iter().flat_map(HashMap::values) {
                subjects.entry((held.row.tenant, held.row.subject.clone())).or_default();
            }
            for (digest, answers) in credentials {
                let answer = found.as_ref().map(|found| found.get(&digest).cloned());
                let answer = answer.map_err(|_| Away);
                answers.into_iter().for_each(|asker| drop(asker.send(answer.clone())));
            }
        }
        if !subjects.is_empty() {
            let found = self.look_up_subjects(storage, subjects.keys().cloned().collect()).await;
            for (name, answers) in subjects {
                let answer = found.as_ref().map(|found| found.get(&name).cloned());
                let answer = answer.map_err(|_| Away);
                answers.into_iter().for_each(|asker| drop(asker.send(answer.clone())));
            }
        }
    }

    async fn look_up_credentials(
        &self,
        storage: &Storage,
        digests: impl Iterator<Item = &Digest>,
    ) -> Result<HashMap<Digest, Arc<Held>>, Away> {
        let (as_of, now) = (self.versions.now(), self.now());
        let mut unknown: HashSet<Digest> = digests.copied().collect();
        let digests: Vec<Digest> = unknown.iter().copied().collect();
        let rows = in_time(storage.credentials(&digests)).await?;
        let mut found = HashMap::new();
        let mut kept = lock(&self.directory.credentials);
        for row in rows {
            let held = Arc::new(Held::new(row));
            if held.has_expired(now) || held.is_idle(now) {
                continue;
            }
            let place = self.credential_place(held.row.id);
            let value = Some(held.clone());
            kept.insert(held.row.digest, Kept { value, as_of, place });
            unknown.remove(&held.row.digest);
            found.insert(held.row.digest, held);
        }
        drop(kept);
        let mut strangers = lock(&self.directory.unknown);
        for digest in unknown {
            strangers.insert(digest, Instant::now() + UNKNOWN_FOR);
        }
        Ok(found)
    }

    async fn look_up_subjects(
        &self,
        storage: &Storage,
        names: Vec<(Uuid, String)>,
    ) -> Result<HashMap<(Uuid, String), Arc<Subject>>, Away> {
        let as_of = self.versions.now();
        let rows = in_time(storage.subjects(&names)).await?;
        let found: HashMap<_, _> = rows
            .into_iter()
            .map(|row| ((row.tenant, row.subject.clone()), Arc::new(row)))
            .collect();
        let mut kept = lock(&self.directory.subjects);
        for name in names {
            let place = self.subject_place(name.0, &name.1);
            let value = found.get(&name).cloned();
            kept.insert(name_digest(name.0, &name.1), Kept { value, as_of, place });
        }
        Ok(found)
    }
}

async fn in_time<T>(query: impl Future<Output = Result<T, Error>>) -> Result<T, Away> {
    match tokio::time::timeout(WAIT_MAX, query).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) if error.is_unavailable() => Err(Away),
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot look up who is asking");
            Err(Away)
        }
        Err(_) => Err(Away),
    }
}
