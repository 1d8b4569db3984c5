//! A process of its own that executes backfills on one SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use herd::{Child, Moment, moments};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqlitePoolOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::Habitat;
use crate::habitat::{self, Journal};

/// What a process is to do, before it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[must_use = "nothing happens before `start`"]
pub struct Orders {
    name: String,
    file: PathBuf,
    folder: PathBuf,
    journal: Journal,
    lease: Duration,
    busy_timeout: Duration,
    grace: Duration,
    threads: usize,
    queue: Option<String>,
    leave: Leave,
}

/// What a process does when it is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leave {
    /// Shuts its worker down, and ends.
    Shutdown,
    /// Drops its worker, and stays.
    Drop,
}

impl Habitat {
    /// A process of that name, to be started.
    pub fn child(&self, name: impl Into<String>) -> Orders {
        Orders {
            name: name.into(),
            file: self.file(),
            folder: self.folder().to_owned(),
            journal: self.journal(),
            lease: Duration::from_secs(1),
            busy_timeout: Duration::from_secs(5),
            grace: Duration::from_secs(30),
            // More than a test ever blocks.
            threads: 4,
            queue: None,
            leave: Leave::Shutdown,
        }
    }
}

impl Orders {
    /// How long it keeps its batches without a beat; one second.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long SQLite waits for the write lock before it says that it is busy; sqlx's five seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many threads its host has for everything that it does; four.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How long it lets a batch finish when it is asked to end; 30 seconds.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Works on runs of this queue only.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// What it does when it is asked to end.
    pub fn leave(mut self, leave: Leave) -> Self {
        self.leave = leave;
        self
    }

    /// Starts it. What it logs is appended to a file in the habitat's folder.
    ///
    /// # Panics
    /// When there is no process to be had.
    pub fn start(self) -> Child {
        herd::start(&self.folder, &self.name, self.threads, &self)
    }
}

/// What the child process does; returns at once in a process that is none.
///
/// # Panics
/// When it cannot be done: the child ends with an error.
pub fn serve() {
    herd::serve(execute);
}

async fn execute(orders: Orders) {
    let mut asked = signal(SignalKind::terminate()).expect("a handler");
    moments::pass(Moment::Start).await;
    let options = habitat::options(&orders.file, orders.journal).busy_timeout(orders.busy_timeout);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_lazy_with(options);
    let drip = habitat::builder(pool).lease(orders.lease).grace(orders.grace).queues(orders.queue);
    let drip = drip.build().await.expect("a set-up without mistakes");
    let worker = drip.start();
    moments::tell(Moment::Started);
    asked.recv().await;
    moments::tell(Moment::Asked);
    match orders.leave {
        Leave::Shutdown => worker.shutdown().await,
        Leave::Drop => {
            drop(worker);
            std::future::pending::<()>().await;
        }
    }
}
