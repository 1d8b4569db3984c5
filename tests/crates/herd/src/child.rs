//! A process of its own: it can be killed, suspended and asked to end.
//!
//! It is the test binary itself, started again at one ignored test that calls [`serve`]: that works wherever the tests
//! do, with nothing to be built or found.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::moments;
use crate::patience::eventually;

/// The ignored test that calls [`serve`].
const ENTRANCE: &str = "child_process";
/// Where the orders are.
const ORDERS: &str = "DATA_DRIP_HERD_ORDERS";

#[derive(Serialize, Deserialize)]
struct Envelope<O> {
    name: String,
    folder: PathBuf,
    threads: usize,
    orders: O,
}

/// Starts a process of that name with so many threads, which does what [`serve`] says with these orders. What it logs is
/// appended to a file in the folder.
///
/// # Panics
/// When there is no process to be had.
pub fn start(folder: &Path, name: &str, threads: usize, orders: &impl Serialize) -> Child {
    start_in(&[], folder, name, threads, orders)
}

/// [`start`] with something in its environment.
///
/// # Panics
/// When there is no process to be had.
pub fn start_in(env: &[(&str, String)], folder: &Path, name: &str, threads: usize, orders: &impl Serialize) -> Child {
    let envelope = Envelope { name: name.to_owned(), folder: folder.to_owned(), threads, orders };
    let log = File::options().create(true).append(true).open(log_of(folder, name));
    let process = Command::new(std::env::current_exe().expect("the test binary has a path"))
        .args([ENTRANCE, "--exact", "--ignored", "--nocapture"])
        .env(ORDERS, serde_json::to_string(&envelope).expect("plain values serialise"))
        .envs(env.iter().map(|(name, value)| (name, value)))
        // Open as long as the test lives: a child ends when it closes.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log.expect("the folder is there"))
        .spawn()
        .expect("the test binary can be started again");
    Child { name: name.to_owned(), process }
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
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
pub fn serve<O: DeserializeOwned>(execute: impl AsyncFnOnce(O)) {
    let Ok(envelope) = std::env::var(ORDERS) else { return };
    let envelope: Envelope<O> = serde_json::from_str(&envelope).expect("written by the test");
    let log = File::options().append(true).open(log_of(&envelope.folder, &envelope.name));
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
    moments::set(envelope.folder, envelope.name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(envelope.threads).enable_all().build();
    runtime.expect("a runtime").block_on(execute(envelope.orders));
}
