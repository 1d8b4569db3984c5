//! A database of a test's own, and processes that execute backfills on it.

use std::time::Duration;

use data_drip::{Backfill, Run, RunBatch, RunId, RunStatus};
use herd::{Child, Folder, Moment, moments};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::audit::audit;
use crate::database::prelude::DataDrip;
use crate::database::{Database, Db, Place};

/// How long a worker keeps its batches without a beat.
pub const LEASE: Duration = Duration::from_millis(1_500);

/// What a test has.
pub struct World {
    /// To ask for runs and to watch them; it executes nothing.
    pub drip: DataDrip,
    pub folder: Folder,
    pub database: Database,
}

impl World {
    /// With so many items; `None`, loudly, without a server.
    pub async fn with_items(items: u32) -> Option<Self> {
        Some(Self::of(Database::with_items(items).await?).await)
    }

    pub async fn of(database: Database) -> Self {
        let drip = database.builder().build().await.unwrap();
        Self { drip, folder: Folder::new(), database }
    }

    /// A process of that name, to be started.
    pub fn worker(&self, name: &str) -> Orders<'_> {
        worker(&self.folder, &self.database, name)
    }

    /// So many processes, named by letters.
    pub fn herd(&self, processes: usize) -> Vec<Child> {
        ('a'..).take(processes).map(|name: char| self.worker(&name.to_string()).start()).collect()
    }

    pub async fn enqueue<T: Backfill<Database = Db>>(&self, backfill: T, batch_size: u64) -> RunId {
        self.drip.enqueue(backfill).batch_size(batch_size).await.unwrap().id
    }

    /// Rows in the ledger.
    pub async fn processed(&self) -> i64 {
        self.database.number("SELECT count(*) FROM ledger").await
    }

    /// Waits until so many rows are in the ledger.
    pub async fn until_processed(&self, items: i64) {
        herd::eventually("the run gets on", async || self.processed().await >= items).await;
    }

    /// Waits until the run is settled and nothing of it is in flight.
    pub async fn settled(&self, run: RunId) -> Run {
        let Ok(settled) = tokio::time::timeout(herd::PATIENCE, self.drip.wait(run)).await else {
            panic!("the run is not settled: {:?}", self.drip.run(run).await)
        };
        settled.unwrap()
    }

    /// Checks what the ledger says against what the engine says.
    pub async fn audit(&self, run: RunId) -> Vec<RunBatch> {
        audit(&self.database, &self.drip, run).await
    }

    /// Waits until the run is completed, and checks that each of its items was processed once.
    pub async fn completed(&self, run: RunId, items: u64) -> Vec<RunBatch> {
        let settled = self.settled(run).await;
        assert_eq!((settled.status, settled.counts.processed), (RunStatus::Completed, items), "{settled:?}");
        self.audit(run).await
    }

    /// How often batches had to be tried again for a passing reason.
    pub async fn transients(&self) -> i64 {
        self.database.number("SELECT sum(transients) FROM data_drip_backfill_run_batches").await
    }

    /// How often batches were claimed.
    pub async fn claims(&self) -> i64 {
        self.database.number("SELECT sum(epoch) FROM data_drip_backfill_run_batches").await
    }
}

/// A process of that name on the database, to be started.
pub fn worker<'f>(folder: &'f Folder, database: &Database, name: &str) -> Orders<'f> {
    let place = database.place.clone();
    let given = Given { place, lease: LEASE, grace: Duration::from_secs(30), slots: 2, queue: None };
    Orders { folder, name: name.to_owned(), given, env: Vec::new() }
}

/// What a process is to do, before it starts.
#[derive(Clone)]
#[must_use = "nothing happens before `start`"]
pub struct Orders<'w> {
    folder: &'w Folder,
    name: String,
    given: Given,
    env: Vec<(&'static str, String)>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Given {
    place: Place,
    lease: Duration,
    grace: Duration,
    slots: usize,
    queue: Option<String>,
}

impl Orders<'_> {
    /// How long it keeps its batches without a beat.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.given.lease = lease;
        self
    }

    /// How long it lets a batch finish when it is asked to end.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.given.grace = grace;
        self
    }

    pub fn slots(mut self, slots: usize) -> Self {
        self.given.slots = slots;
        self
    }

    /// Works on runs of this queue only.
    pub fn queue(mut self, queue: &str) -> Self {
        self.given.queue = Some(queue.to_owned());
        self
    }

    /// Connects by way of somebody who listens on this port.
    pub fn by_way_of(mut self, port: u16) -> Self {
        self.given.place = self.given.place.by_way_of(port);
        self
    }

    /// Starts with this in its environment.
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    pub fn start(self) -> Child {
        // More threads than a test ever blocks.
        herd::start_in(&self.env, self.folder.path(), &self.name, 4, &self.given)
    }
}

/// What a process does.
pub async fn execute(given: Given) {
    let mut asked = signal(SignalKind::terminate()).expect("a handler");
    moments::pass(Moment::Start).await;
    let drip = given.place.builder().lease(given.lease).grace(given.grace).slots(given.slots).queues(given.queue);
    let worker = drip.build().await.expect("a set-up without mistakes").start();
    moments::tell(Moment::Started);
    asked.recv().await;
    moments::tell(Moment::Asked);
    worker.shutdown().await;
}

/// Shuts them all down, and checks that they end in good order.
pub async fn shut_down(herd: impl IntoIterator<Item = Child>) {
    let herd: Vec<_> = herd.into_iter().collect();
    herd.iter().for_each(Child::ask_to_end);
    for child in herd {
        child.shut_down().await;
    }
}
