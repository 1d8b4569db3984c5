//! Processes of their own that execute backfills, and come, go and die.

mod deploys;
mod kills;
mod starts;

use std::time::Duration;

use data_drip::RunId;
use herd::{Child, Folder, Moment, moments};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::database::prelude::*;
use crate::database::{Database, Place};
use crate::suite::audit::audit;
use crate::suite::gate::Gate;
use crate::suite::stamp::stamp;

/// Longer than any test waits: what has to wait for a lease is missed.
const FOR_EVER: Duration = Duration::from_hours(1);

/// What a process says that ends because it was told twice.
const AT_ONCE: i32 = 3;

/// The workers for which a lock stands.
const LOCKED_WORKERS: &str = "SELECT count(*) FROM data_drip_worker_locks";

/// Which code of `ship` a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Code {
    None,
    Old,
    New,
}

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Given {
    place: Place,
    code: Code,
    grace: Duration,
}

/// A process that is to be started.
#[must_use = "nothing happens before `start`"]
struct Orders<'s> {
    folder: &'s Folder,
    name: String,
    given: Given,
}

impl Orders<'_> {
    fn code(mut self, code: Code) -> Self {
        self.given.code = code;
        self
    }

    fn grace(mut self, grace: Duration) -> Self {
        self.given.grace = grace;
        self
    }

    fn start(self) -> Child {
        herd::start(self.folder.path(), &self.name, 2, &self.given)
    }
}

/// What it does.
pub async fn execute(given: Given) {
    let mut asked = signal(SignalKind::terminate()).unwrap();
    moments::pass(Moment::Start).await;
    let builder = given.place.builder().lease(FOR_EVER).grace(given.grace).state(Gate::default());
    let worker = deploys::with(builder, given.code).build().await.unwrap().start();
    moments::tell(Moment::Started);
    asked.recv().await;
    moments::tell(Moment::Asked);
    tokio::select! {
        () = worker.shutdown() => {}
        _ = asked.recv() => std::process::exit(AT_ONCE),
    }
}

/// What a test has.
struct Site {
    /// To ask for runs and to watch them, with the newest code.
    person: DataDrip,
    folder: Folder,
    database: Database,
}

impl Site {
    async fn with_items(items: u32) -> Option<Self> {
        let database = Database::with_items(items).await?;
        let builder = database.builder().state(Gate::default());
        let person = deploys::with(builder, Code::New).build().await.unwrap();
        Some(Self { person, folder: Folder::new(), database })
    }

    fn child(&self, name: &str) -> Orders<'_> {
        child(&self.folder, &self.database, name)
    }

    async fn number(&self, query: &str) -> i64 {
        self.database.number(query).await
    }

    async fn becomes(&self, query: &str, number: i64) {
        herd::eventually(query, async || self.number(query).await == number).await;
    }

    /// A process that is held when it has written its first batch of a run, and no other is there.
    async fn written(&self, orders: Orders<'_>) -> (Child, RunId) {
        let name = orders.name.clone();
        self.folder.hold(&name, Moment::Written);
        let child = orders.start();
        let run = self.person.enqueue(Pack { tag: 1 }).batch_size(10).await.unwrap();
        self.folder.reached(&name, Moment::Written).await;
        (child, run.id)
    }

    async fn audit(&self, run: RunId) {
        audit(&self.database, &self.person, run).await;
    }

    /// Nothing is in anybody's hands any more.
    async fn nothing_is_held(&self) {
        for query in [
            "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'",
            "SELECT count(planner) FROM data_drip_backfill_runs",
            "SELECT count(*) FROM data_drip_workers",
            LOCKED_WORKERS,
        ] {
            assert_eq!(self.number(query).await, 0, "{query}");
        }
    }

    async fn losses(&self) -> i64 {
        self.number("SELECT sum(losses) FROM data_drip_backfill_run_batches").await
    }
}

/// A process of that name on the database, with no code of `ship`.
fn child<'f>(folder: &'f Folder, database: &Database, name: &str) -> Orders<'f> {
    let given = Given { place: database.place.clone(), code: Code::None, grace: Duration::from_secs(30) };
    Orders { folder, name: name.to_owned(), given }
}

/// Processes a batch at a time, and can be held in it.
#[backfill]
struct Pack {
    /// Tells runs apart that are otherwise the same.
    tag: i64,
}

#[backfill]
impl Pack {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await?;
        moments::pass(Moment::Written).await;
        Ok(())
    }
}
