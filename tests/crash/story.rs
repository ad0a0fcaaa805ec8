//! What every crash test does before and after its kills: two hosts on one database with clients,
//! and an audit at the end.

use crash::books::{Books, table};
use crash::dice::Dice;
use crash::ground::{Ground, Haste, eventually};
use crash::host::{HostProcess, program};
use crash::journal;
use crash::load::{Load, MOODS, Tally, doors};
use std::time::{Duration, Instant};

/// Clients at once, and how long each waits between two writes.
const CLIENTS: u64 = 6;
const PACE: Duration = Duration::from_millis(30);

/// Everything that waits is worked off within this, once the killing is over.
const DRAIN_MAX: Duration = Duration::from_secs(90);

/// What a host may never say, whatever happens to it.
const NEVER: [&str; 2] = ["panicked", "cannot move from"];

/// Hosts on one database.
pub struct Story {
    pub ground: Ground,
    pub hosts: Vec<HostProcess>,
    pub dice: Dice,
    began: Instant,
}

/// Ten times as much of everything with `NEXUS_LONG=1`.
pub fn times(usual: u32) -> u32 {
    if std::env::var_os("NEXUS_LONG").is_some() { usual * 10 } else { usual }
}

impl Story {
    /// With these lines in the probe's table of the manifest.
    pub async fn begin(lines: &str) -> Self {
        Self::of(&["first", "second"], lines).await
    }

    /// As [`Story::begin`], with hosts of these names.
    pub async fn of(names: &[&str], lines: &str) -> Self {
        let dice = Dice::new();
        let ground = Ground::prepare().await.unwrap();
        journal::furnish(&ground).await.unwrap();
        ground.hasten(&Haste::default()).await.unwrap();
        ground.keep_history().await.unwrap();
        let (program, manifest) = (program().unwrap(), journal::manifest(&ground, lines).unwrap());
        let host = |name| HostProcess::new(&ground, &program, name, &manifest).unwrap();
        let mut story = Self {
            hosts: names.iter().map(|name| host(name)).collect(),
            ground,
            dice,
            began: Instant::now(),
        };
        for host in &mut story.hosts {
            host.spawn().unwrap();
        }
        story.ready().await;
        story
    }

    pub fn books(&self) -> Books<'_> {
        Books(self.ground.database())
    }

    /// Waits until every host lets calls through.
    pub async fn ready(&mut self) {
        for host in &mut self.hosts {
            host.ready().await;
        }
    }

    /// Clients, once both subscriptions are there: an event that was told before is nobody's.
    pub async fn load(&self) -> Load {
        eventually("both subscriptions are made", Duration::from_secs(30), async || {
            self.books().subscriptions().await.unwrap() == 2
        })
        .await;
        Load::start(&doors(&self.hosts).unwrap(), CLIENTS, PACE, &self.dice, MOODS)
    }

    /// What holds at any instant, in the middle of everything.
    pub async fn look(&self) {
        let books = self.books();
        assert_eq!(books.misplaced().await.unwrap(), Vec::<String>::new());
        assert_eq!(books.half_written().await.unwrap(), Vec::<String>::new());
    }

    /// Waits until nothing is on its way any more.
    pub async fn drain(&mut self) {
        self.ready().await;
        let books = self.books();
        let end = Instant::now() + DRAIN_MAX;
        while books.waiting().await.unwrap() > 0 {
            let accounts = table(&books.accounts().await.unwrap());
            assert!(Instant::now() < end, "not worked off within {DRAIN_MAX:?}:\n{accounts}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the clients, waits until everything is worked off, and reads all the books.
    pub async fn audit(&mut self, load: Load, what: &str) -> Tally {
        let tally = load.stop().await.unwrap();
        self.drain().await;
        self.look().await;
        let books = self.books();
        assert_eq!(books.lost(&tally).await.unwrap(), Vec::<String>::new());
        assert_eq!(books.misfiled().await.unwrap(), Vec::<String>::new());
        self.audit_leases(what).await;
        println!(
            "  {} writes acknowledged, {} answered otherwise, {} unanswered",
            tally.acknowledged.len(),
            tally.refused,
            tally.unanswered
        );
        tally
    }

    /// The part of the audit that needs no clients.
    pub async fn audit_leases(&self, what: &str) {
        let books = self.books();
        assert_eq!(books.broken_leases().await.unwrap(), Vec::<String>::new());
        let said: Vec<_> = self.hosts.iter().flat_map(|host| host.logged(&NEVER)).collect();
        assert_eq!(said, Vec::<String>::new());
        let accounts = books.accounts().await.unwrap();
        for account in &accounts {
            assert_eq!(account.published, account.done + account.dead, "{account:?}");
        }
        let (again, claims) = books.claims().await.unwrap();
        println!("{what}, {:?}", self.began.elapsed());
        println!("  {claims} claims, {again} of them not the first of their message");
        print!("{}", table(&accounts));
    }

    pub async fn end(self) {
        drop(self.hosts);
        self.ground.end().await;
    }
}
