//! Processes of their own that execute backfills: this binary, started again at [`child_process`]. They can be killed and asked
//! to end.

mod deploys;
mod kills;
mod starts;

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::database::Database;
use crate::database::prelude::*;
use crate::suite::backfills::stamp;
use crate::suite::gate::Gate;
use crate::suite::until;

const ORDERS: &str = "DATA_DRIP_TEST_ORDERS";

/// Longer than any test waits: what has to wait for a lease is missed.
const FOR_EVER: Duration = Duration::from_hours(1);

/// What a process says when it ends because it was told twice.
const AT_ONCE: i32 = 3;

/// Which code of `ship` a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Code {
    None,
    Old,
    New,
}

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[must_use = "nothing happens before `start`"]
struct Orders {
    name: String,
    database: String,
    folder: PathBuf,
    code: Code,
    lease: Duration,
    grace: Duration,
}

/// A database, and a folder in which processes are held and say where they are.
struct Site {
    database: Database,
    folder: PathBuf,
}

impl Site {
    fn of(database: Database) -> Self {
        let folder = std::env::temp_dir().join(format!("data_drip-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        Self { database, folder }
    }

    async fn with_items(items: u32) -> Option<Self> {
        Database::with_items(items).await.map(Self::of)
    }

    fn child(&self, name: &str) -> Orders {
        Orders {
            name: name.to_owned(),
            database: self.database.name().to_owned(),
            folder: self.folder.clone(),
            code: Code::None,
            lease: FOR_EVER,
            grace: Duration::from_secs(30),
        }
    }

    /// From now on, a process stays in the batch that it has written.
    fn hold(&self, name: &str) {
        std::fs::write(held(&self.folder, name), "").unwrap();
    }

    fn release(&self, name: &str) {
        std::fs::remove_file(held(&self.folder, name)).unwrap();
    }

    /// Waits until a process has said that it is there.
    async fn reached(&self, name: &str, place: &str) {
        let said = said(&self.folder, name, place);
        until(async || said.exists().then_some(())).await;
    }

    async fn number(&self, query: &str) -> i64 {
        self.database.number(query).await
    }

    async fn becomes(&self, query: &str, number: i64) {
        until(async || (self.number(query).await == number).then_some(())).await;
    }

    /// Nothing is in anybody's hands any more.
    async fn nothing_is_held(&self) {
        for query in [
            "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'",
            "SELECT count(planner) FROM data_drip_backfill_runs",
            "SELECT count(*) FROM data_drip_workers",
            Database::LOCKED_WORKERS,
        ] {
            assert_eq!(self.number(query).await, 0, "{query}");
        }
    }

    async fn losses(&self) -> i64 {
        self.number("SELECT sum(losses) FROM data_drip_backfill_run_batches").await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn held(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.held"))
}

fn said(folder: &Path, name: &str, place: &str) -> PathBuf {
    folder.join(format!("{name}.{place}"))
}

impl Orders {
    fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn start(self) -> Child {
        let log = File::options().create(true).append(true).open(said(&self.folder, &self.name, "log")).unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["processes::child_process", "--exact", "--ignored", "--nocapture"])
            .env(ORDERS, serde_json::to_string(&self).unwrap())
            // Open as long as the test lives: a child ends when it closes.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Child { name: self.name, process }
    }
}

/// Killed when it is dropped.
struct Child {
    name: String,
    process: std::process::Child,
}

impl Child {
    /// Where it stands.
    fn kill(mut self) {
        self.process.kill().unwrap();
        let ended = self.process.wait().unwrap();
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32), "{} had ended by itself: {ended}", self.name);
    }

    fn ask_to_end(&self) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGTERM).unwrap();
    }

    async fn ended(mut self) -> ExitStatus {
        until(async || self.process.try_wait().unwrap()).await
    }

    async fn shut_down(self) {
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

/// Where this process is held; nowhere in the test's own.
static PLACE: OnceLock<Place> = OnceLock::new();

struct Place {
    folder: PathBuf,
    name: String,
}

impl Place {
    fn say(&self, place: &str) {
        std::fs::write(said(&self.folder, &self.name, place), "").unwrap();
    }

    async fn pass() {
        let Some(place) = PLACE.get() else { return };
        let held = held(&place.folder, &place.name);
        if held.exists() {
            place.say("written");
            while held.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[test]
#[ignore = "the entrance of child processes: by itself it does nothing"]
fn child_process() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let log = File::options().append(true).open(said(&orders.folder, &orders.name, "log")).unwrap();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(Mutex::new(log))
        .init();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        // The test is gone.
        std::process::exit(1);
    });
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(execute(orders));
}

async fn execute(orders: Orders) {
    let mut asked = signal(SignalKind::terminate()).unwrap();
    // The test's, not ours to drop.
    let database = std::mem::ManuallyDrop::new(Database::existing(&orders.database));
    let place = PLACE.get_or_init(|| Place { folder: orders.folder, name: orders.name });
    place.say("starting");
    let builder = database.builder().lease(orders.lease).grace(orders.grace).state(Gate::default());
    let drip = deploys::with(builder, orders.code).build().await.unwrap();
    let worker = drip.start();
    place.say("started");
    asked.recv().await;
    place.say("asked");
    tokio::select! {
        () = worker.shutdown() => {}
        _ = asked.recv() => std::process::exit(AT_ONCE),
    }
}

/// Processes a batch at a time, each of them at the place.
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
        Place::pass().await;
        Ok(())
    }
}

/// To ask for runs and to watch them.
async fn person(site: &Site) -> DataDrip {
    let builder = site.database.builder().state(Gate::default());
    deploys::with(builder, Code::New).build().await.unwrap()
}
