//! The queue against a model of it: whatever is done in whatever order, both agree on where every
//! message is, who holds it, and how often it was tried.

use crate::queue_bed::Bed;
use nexus_storage::queue::{
    Ended, EnqueueRequest, Filter, Lease, Outcome, QueueId, Settings, State,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;

const ATTEMPTS_MAX: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Put {
        group: Option<u8>,
        priority: i16,
        delayed: bool,
    },
    Claim {
        most: u32,
    },
    /// Ends the n-th lease that was ever given, current or not.
    Finish {
        lease: usize,
        with: u8,
    },
    Lapse {
        lease: usize,
    },
    MakeDue,
    Redrive,
    Rotate,
    Extend {
        lease: usize,
    },
}

fn step(grouped: bool) -> impl Strategy<Value = Step> {
    let group = if grouped { prop::option::of(0..3_u8).boxed() } else { Just(None).boxed() };
    prop_oneof![
        4 => (group, -1..2_i16, prop::bool::weighted(0.2))
            .prop_map(|(group, priority, delayed)| Step::Put { group, priority, delayed }),
        4 => (1..4_u32).prop_map(|most| Step::Claim { most }),
        6 => (any::<usize>(), 0..4_u8).prop_map(|(lease, with)| Step::Finish { lease, with }),
        1 => any::<usize>().prop_map(|lease| Step::Lapse { lease }),
        2 => Just(Step::MakeDue),
        1 => Just(Step::Redrive),
        1 => Just(Step::Rotate),
        1 => any::<usize>().prop_map(|lease| Step::Extend { lease }),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Ready,
    Deferred { blocks: bool },
    Leased(Lease),
    Dead,
    Done,
}

#[derive(Debug, Clone)]
struct Known {
    group: Option<u8>,
    priority: i16,
    attempts: u32,
    at: At,
}

/// Messages in the order in which they were put in.
#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<usize, Known>,
    places: HashMap<Uuid, usize>,
    given: Vec<(usize, Lease)>,
}

impl Model {
    /// Whether a message could be claimed now.
    fn may_be_claimed(&self, place: usize) -> bool {
        let known = &self.messages[&place];
        if known.at != At::Ready {
            return false;
        }
        let Some(group) = known.group else { return true };
        let mut others = self.messages.iter().filter(|(_, other)| other.group == Some(group));
        others.all(|(other, known)| match known.at {
            At::Leased(_) | At::Deferred { blocks: true } => false,
            At::Ready => *other >= place,
            _ => true,
        })
    }

    fn claimable(&self) -> Vec<usize> {
        self.messages.keys().copied().filter(|place| self.may_be_claimed(*place)).collect()
    }

    fn holder(&self, lease: Lease) -> Option<usize> {
        let found = self.messages.iter().find(|(_, known)| known.at == At::Leased(lease));
        found.map(|(place, _)| *place)
    }

    fn lease(&self, n: usize) -> Option<(usize, Lease)> {
        (!self.given.is_empty()).then(|| self.given[n % self.given.len()])
    }

    fn retried(&mut self, place: usize) -> Ended {
        let known = self.messages.get_mut(&place).unwrap();
        let dead = known.attempts >= ATTEMPTS_MAX;
        known.at = if dead { At::Dead } else { At::Deferred { blocks: true } };
        if dead { Ended::Dead } else { Ended::Deferred }
    }
}

struct Run<'a> {
    bed: &'a Bed,
    queue: QueueId,
    model: Model,
    grouped: bool,
}

impl Run<'_> {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Put { group, priority, delayed } => self.put(*group, *priority, *delayed).await,
            Step::Claim { most } => self.claim(*most).await,
            Step::Finish { lease, with } => self.finish(*lease, *with).await,
            Step::Lapse { lease } => self.lapse(*lease).await,
            Step::MakeDue => {
                self.bed.make_due().await;
                for known in self.model.messages.values_mut() {
                    if matches!(known.at, At::Deferred { .. }) {
                        known.at = At::Ready;
                    }
                }
            }
            Step::Redrive => {
                let dead: Vec<_> =
                    self.model.messages.values_mut().filter(|k| k.at == At::Dead).collect();
                let sent =
                    self.bed.queue.redrive(self.queue, &Filter::all(), false, None).await.unwrap();
                assert_eq!(sent, dead.len() as u64);
                for known in dead {
                    (known.at, known.attempts) = (At::Ready, 0);
                }
            }
            Step::Rotate => self.bed.queue.rotate_at(1).await.unwrap(),
            Step::Extend { lease } => {
                let Some((_, lease)) = self.model.lease(*lease) else { return };
                let by = Duration::from_secs(60);
                let held = self.bed.queue.extend(&[lease], by).await.unwrap();
                assert_eq!(held, [self.model.holder(lease).is_some()]);
            }
        }
    }

    async fn put(&mut self, group: Option<u8>, priority: i16, delayed: bool) {
        let request = EnqueueRequest {
            group: group.map(|group| format!("g{group}")),
            priority,
            delay: delayed.then_some(Duration::from_secs(3600)),
            ..self.bed.request(self.queue)
        };
        self.bed.queue.enqueue(&request).await.unwrap();
        let place = self.model.messages.len();
        let at = if delayed { At::Deferred { blocks: false } } else { At::Ready };
        self.model.places.insert(request.id, place);
        self.model.messages.insert(place, Known { group, priority, attempts: 0, at });
    }

    async fn claim(&mut self, most: u32) {
        let may = self.model.claimable();
        let leased = self.bed.claim(self.queue, most).await;
        let expected = may.len().min(most as usize);
        assert_eq!(leased.len(), expected, "{may:?}");
        let mut got = Vec::new();
        for leased in leased {
            let place = self.model.places[&leased.message.id];
            assert!(may.contains(&place), "{place} is not in {may:?}");
            let known = self.model.messages.get_mut(&place).unwrap();
            known.attempts += 1;
            assert_eq!(leased.attempt, known.attempts);
            let older = self.model.given.iter().filter(|(given, _)| *given == place);
            assert!(older.clone().all(|(_, old)| old.number < leased.lease.number));
            known.at = At::Leased(leased.lease);
            self.model.given.push((place, leased.lease));
            got.push(place);
        }
        if !self.grouped {
            let mut wanted = may;
            let messages = &self.model.messages;
            wanted.sort_by_key(|place| (-messages[place].priority, *place));
            wanted.truncate(expected);
            (wanted, got) = (sorted(wanted), sorted(got));
            assert_eq!(got, wanted);
        }
    }

    async fn finish(&mut self, lease: usize, with: u8) {
        let Some((place, lease)) = self.model.lease(lease) else { return };
        let hour = Some(Duration::from_secs(3600));
        let outcome = match with {
            0 => Outcome::Ack,
            1 => Outcome::Retry { after: hour, reason: "model".into() },
            2 => Outcome::Release { after: None },
            _ => Outcome::Reject { reason: "model".into() },
        };
        let ended = self.bed.queue.finish(&[(lease, outcome)]).await.unwrap()[0];
        let expected = if self.model.holder(lease) != Some(place) {
            Ended::Stale
        } else {
            match with {
                1 => self.model.retried(place),
                0 | 2 | 3.. => {
                    let known = self.model.messages.get_mut(&place).unwrap();
                    let (at, ended) = match with {
                        0 => (At::Done, Ended::Done),
                        2 => (At::Ready, Ended::Ready),
                        _ => (At::Dead, Ended::Dead),
                    };
                    known.attempts -= u32::from(with == 2);
                    known.at = at;
                    ended
                }
            }
        };
        assert_eq!(ended, expected);
    }

    async fn lapse(&mut self, lease: usize) {
        let Some((place, lease)) = self.model.lease(lease) else { return };
        let sql = format!(
            "update platform.queue_lease set expires_at = now() \
             where position = {} and number = {}",
            lease.position, lease.number
        );
        self.bed.host().await.batch(&sql).await.unwrap();
        let expired = self.bed.queue.expire(10).await.unwrap();
        // Its backoff may draw any pause; an hour keeps it out of the way of a later promotion.
        let later = "update platform.queue_deferred set due_at = now() + interval '1 hour'";
        self.bed.host().await.batch(later).await.unwrap();
        assert_eq!(expired.len(), usize::from(self.model.holder(lease) == Some(place)));
        if !expired.is_empty() {
            self.model.retried(place);
        }
    }

    async fn check(&self) {
        let mut positions: Vec<i64> = Vec::new();
        let rows = self.bed.states(self.queue).await;
        let expected: Vec<&str> = self
            .model
            .messages
            .values()
            .map(|known| match known.at {
                At::Ready => "ready",
                At::Deferred { .. } => "deferred",
                At::Leased(_) => "leased",
                At::Dead => "dead",
                At::Done => "done",
            })
            .collect();
        let found: Vec<&str> = rows.iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(found, expected);
        positions.extend(rows.iter().map(|(position, _)| *position));
        positions.dedup();
        assert_eq!(positions.len(), rows.len(), "a message in two states");
    }
}

fn sorted(mut places: Vec<usize>) -> Vec<usize> {
    places.sort_unstable();
    places
}

fn runs(grouped: bool, cases: u32) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let bed = runtime.block_on(Bed::new());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let number = std::cell::Cell::new(0);
    let steps = prop::collection::vec(step(grouped), 1..60);
    let outcome = proptest::test_runner::TestRunner::new(config).run(&steps, |steps| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            // What one case leaves in somebody's hands must not lapse while another one runs.
            let settings = Settings {
                grouped,
                attempts_max: ATTEMPTS_MAX,
                lease: Duration::from_secs(3600),
                ..Settings::default()
            };
            let queue = bed.named_queue(&format!("q{}", number.get()), &settings).await;
            let mut run = Run { bed: &bed, queue, model: Model::default(), grouped };
            for step in &steps {
                run.take(step).await;
            }
            run.check().await;
            // What one case leaves deferred would come due in the next.
            for state in [State::Ready, State::Deferred, State::Dead] {
                bed.queue.purge(queue, state, &Filter::all(), false).await.unwrap();
            }
        });
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(bed.end());
}

#[test]
fn a_plain_queue_does_what_its_model_does() {
    runs(false, 48);
}

#[test]
fn a_grouped_queue_does_what_its_model_does() {
    runs(true, 48);
}
