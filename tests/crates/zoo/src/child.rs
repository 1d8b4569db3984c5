//! A process of its own that executes backfills: it can be killed, suspended and asked to end.
//!
//! It is the test binary itself, started again at one ignored test that calls [`serve`]: that works wherever the tests
//! do, with nothing to be built or found.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqlitePoolOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::Habitat;
use crate::habitat::{self, Journal};
use crate::moments::{self, Moment};
use crate::patience::eventually;

/// The ignored test that calls [`serve`].
const ENTRANCE: &str = "child_process";
/// Where the orders are.
const ORDERS: &str = "DATA_DRIP_ZOO_ORDERS";

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
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{}.log", self.name)));
        let process = Command::new(std::env::current_exe().expect("the test binary has a path"))
            .args([ENTRANCE, "--exact", "--ignored", "--nocapture"])
            .env(ORDERS, serde_json::to_string(&self).expect("plain values serialise"))
            // Open as long as the test lives: a child ends when it closes.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.expect("the habitat's folder is there"))
            .spawn()
            .expect("the test binary can be started again");
        Child { name: self.name, process }
    }
}

/// A process that executes backfills; killed when this is dropped.
pub struct Child {
    name: String,
    process: std::process::Child,
}

impl Child {
    /// Its name in the ledger.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("process numbers are small"))
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Kills it where it stands, and waits until it is gone.
    ///
    /// # Panics
    /// When it was not alive any more: that is no kill.
    pub fn kill(mut self) {
        // A process that has ended takes signals until it is waited for: only how it ended tells.
        self.signal(Signal::SIGKILL);
        let ended = self.process.wait().expect("it is our child");
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32), "{} had ended by itself: {ended}", self.name);
    }

    /// Suspends it: all its threads stand still when this returns.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
        eventually(&format!("{} stands still", self.name), async || {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
            match waitpid(self.pid(), Some(flags)).expect("it is our child") {
                WaitStatus::Stopped(..) => true,
                WaitStatus::StillAlive => false,
                ended => panic!("{} has ended: {ended:?}", self.name),
            }
        })
        .await;
    }

    /// Lets it go on.
    pub fn wake(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks it to end.
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// How it ended; `None` while it lives.
    pub fn outcome(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it is our child")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ended(mut self) -> ExitStatus {
        let mut status = None;
        eventually(&format!("{} ends", self.name), async || {
            status = self.process.try_wait().expect("it is our child");
            status.is_some()
        })
        .await;
        status.expect("it has ended")
    }

    /// Asks it to end, and checks that it does in good order.
    ///
    /// # Panics
    /// When it does not.
    pub async fn shut_down(self) {
        self.ask_to_end();
        let name = self.name.clone();
        let status = self.ended().await;
        assert!(status.success(), "{name} ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Gone already, in most cases.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the child process does; returns at once in a process that is none.
///
/// # Panics
/// When it cannot be done: the child ends with an error.
pub fn serve() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).expect("written by the test");
    let log = File::options().append(true).open(orders.folder.join(format!("{}.log", orders.name)));
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(Mutex::new(log.expect("the test has created it")))
        .init();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        // The test is gone.
        std::process::exit(1);
    });
    moments::set(orders.folder.clone(), orders.name.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(orders.threads).enable_all().build();
    runtime.expect("a runtime").block_on(execute(orders));
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
