//! Clients that write entries while everything around them is killed, and remember every write that
//! was acknowledged. What was not acknowledged may have happened or not: that is not theirs to
//! know.

use crate::client::Client;
use crate::dice::Dice;
use crate::host::HostProcess;
use crate::journal::ENTRIES;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How entries are handled, and how many of which: most go well, some fail once, some are refused.
pub const MOODS: &[(&str, u32)] = &[("well", 88), ("fail-once", 8), ("refuse", 4)];

/// Where a host is written to.
#[derive(Debug, Clone)]
pub struct Door {
    pub address: SocketAddr,
    pub token: String,
}

/// What the clients know.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Entries whose write was answered with 201.
    pub acknowledged: Vec<Uuid>,
    /// Writes that were answered with something else.
    pub refused: u64,
    /// Writes without an answer.
    pub unanswered: u64,
}

/// Running clients; stopped with [`Load::stop`].
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    tally: Mutex<Tally>,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The doors of hosts that have been ready once.
///
/// # Errors
///
/// When one has not.
pub fn doors(hosts: &[HostProcess]) -> Result<Vec<Door>> {
    let door = |host: &HostProcess| Ok(Door { address: host.address(), token: host.token()? });
    hosts.iter().map(door).collect()
}

impl Load {
    /// Each client writes to any of the doors, one entry per `pace` at most.
    pub fn start(
        doors: &[Door],
        clients: u64,
        pace: Duration,
        dice: &Dice,
        moods: &'static [(&'static str, u32)],
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let begin = |number| {
            let writer = Writer {
                doors: doors.to_vec(),
                dice: dice.branch(number + 1),
                client: Client::default(),
                moods,
            };
            tokio::spawn(writer.write_on(shared.clone(), pace))
        };
        let clients = (0..clients).map(begin).collect();
        Self { shared, clients }
    }

    /// Entries acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.tally().acknowledged.len()
    }

    /// Ends the clients; a write under way is waited for.
    ///
    /// # Errors
    ///
    /// When a client has panicked.
    pub async fn stop(self) -> Result<Tally> {
        self.shared.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.context("wait for a client")?;
        }
        Ok(self.shared.tally().clone())
    }
}

struct Writer {
    doors: Vec<Door>,
    dice: Dice,
    client: Client,
    moods: &'static [(&'static str, u32)],
}

impl Writer {
    async fn write_on(mut self, shared: Arc<Shared>, pace: Duration) {
        let mut beat = tokio::time::interval(pace);
        // After an outage it goes on at its pace, without making up for what it has missed.
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shared.over.load(Ordering::Relaxed) {
            beat.tick().await;
            match self.write().await {
                Ok(Some(id)) => shared.tally().acknowledged.push(id),
                Ok(None) => shared.tally().refused += 1,
                Err(_) => shared.tally().unanswered += 1,
            }
        }
    }

    /// The id of an entry that was written; None when the host said something else.
    async fn write(&mut self) -> Result<Option<Uuid>> {
        let door = &self.doors[self.dice.below(self.doors.len())];
        let draft = json!({ "mood": self.dice.word(self.moods), "chapter": "crash" });
        let reply = self.client.post(door.address, ENTRIES, &door.token, &draft).await?;
        if reply.status != 201 {
            return Ok(None);
        }
        let id = reply.json()?["id"].as_str().context("an entry has an id")?.parse();
        Ok(Some(id.context("read an entry's id")?))
    }
}
