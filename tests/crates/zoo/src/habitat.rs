//! A database file of a test's own, in a folder of its own that is kept when the test fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_drip::sqlite::prelude::DataDrip;
use data_drip::{Backfill, Builder, Run, RunId};
use herd::{Folder, Moment, eventually};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};

/// How the database survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Journal {
    /// A write-ahead log: readers go on while somebody writes.
    WriteAhead,
    /// SQLite's default: a commit waits for readers, and readers for a commit.
    Rollback,
}

/// How long the test itself waits for a database that is busy.
const BUSY: Duration = Duration::from_mins(1);

/// How often an idle process of a test looks for work.
const POLL: Duration = Duration::from_millis(20);

/// A database with rows to process and a ledger that backfills write.
pub struct Habitat {
    folder: Folder,
    journal: Journal,
    pool: SqlitePool,
}

impl Habitat {
    /// A folder with a name for a database, which is not there yet.
    pub fn empty(journal: Journal) -> Self {
        let folder = Folder::new();
        let options = options(&file(folder.path()), journal).busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options);
        Self { folder, journal, pool }
    }

    /// A database with so many `items`, their ids with gaps between them.
    pub async fn with_items(items: u32, journal: Journal) -> Self {
        let habitat = Self::empty(journal);
        habitat.settle(items).await;
        habitat
    }

    /// Creates the tables, and so many items.
    pub async fn settle(&self, items: u32) {
        sqlx::raw_sql(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, touched INTEGER NOT NULL DEFAULT 0, batch INTEGER, text TEXT);
             CREATE INDEX items_by_batch ON items (batch);
             -- Nothing here keeps a row from being written twice: that is what it is to show.
             CREATE TABLE ledger (
                 seq INTEGER PRIMARY KEY, run INTEGER NOT NULL, item INTEGER NOT NULL, batch INTEGER,
                 process TEXT NOT NULL
             );
             CREATE INDEX ledger_by_item ON ledger (item);
             CREATE TABLE unique_words (word TEXT UNIQUE);
             CREATE TABLE pledges (item INTEGER REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED);",
        )
        .execute(&self.pool)
        .await
        .expect("the tables are new");
        sqlx::query(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
             INSERT INTO items (id) SELECT n * 3 FROM n",
        )
        .bind(items)
        .execute(&self.pool)
        .await
        .expect("the items are new");
    }

    /// The test's own connections.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// How an application connects that says nothing about how long to wait.
    pub fn options(&self) -> SqliteConnectOptions {
        options(&self.file(), self.journal)
    }

    /// The database file.
    pub fn file(&self) -> PathBuf {
        file(self.folder())
    }

    /// Where the moments are, and the logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How the database survives a crash.
    pub fn journal(&self) -> Journal {
        self.journal
    }

    /// [`DataDrip`] on the test's own connections, being set up; every animal is registered.
    pub fn builder(&self) -> Builder<Sqlite> {
        builder(self.pool.clone())
    }

    /// [`DataDrip`] to ask for runs and to watch them.
    pub async fn drip(&self) -> DataDrip {
        self.builder().build().await.expect("a set-up without mistakes")
    }

    /// Asks for a run with batches of this size.
    pub async fn enqueue<T: Backfill<Database = Sqlite>>(&self, backfill: T, batch_size: u64) -> Run {
        self.drip().await.enqueue(backfill).batch_size(batch_size).await.expect("nothing to refuse")
    }

    /// Runs statements on one connection.
    pub async fn run(&self, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&self.pool).await.expect("statements without mistakes");
    }

    /// A number from the database; 0 for NULL.
    pub async fn number(&self, query: &str) -> i64 {
        let value: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.pool).await.expect("a query for one number");
        value.unwrap_or(0)
    }

    /// Rows in the ledger.
    pub async fn processed(&self) -> i64 {
        self.number("SELECT count(*) FROM ledger").await
    }

    /// Waits until the query's number is there.
    ///
    /// # Panics
    /// When it is not in time.
    pub async fn becomes(&self, query: &str, number: i64) {
        eventually(&format!("{number} from `{query}`"), async || self.number(query).await == number).await;
    }

    /// Waits until the run is settled and nothing of it is in flight.
    ///
    /// # Panics
    /// When it is not in time.
    pub async fn settled(&self, run: RunId) -> Run {
        let drip = self.drip().await;
        let Ok(settled) = tokio::time::timeout(herd::PATIENCE, drip.wait(run)).await else {
            panic!("the run is not settled: {:?}", drip.run(run).await)
        };
        settled.expect("the run is there")
    }

    /// From now on, holds a process at a moment.
    pub fn hold(&self, process: &str, moment: Moment) {
        self.folder.hold(process, moment);
    }

    /// Lets the process pass.
    pub fn release(&self, process: &str, moment: Moment) {
        self.folder.release(process, moment);
    }

    /// From now on, every process dies where [`Doomed`](crate::backfills::Doomed) says.
    pub fn doom(&self) {
        self.folder.doom();
    }

    /// Lets them live.
    pub fn redeem(&self) {
        self.folder.redeem();
    }

    /// Waits until the process is there.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn reached(&self, process: &str, moment: Moment) {
        self.folder.reached(process, moment).await;
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("zoo.sqlite")
}

pub(crate) fn options(file: &Path, journal: Journal) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(match journal {
            Journal::WriteAhead => SqliteJournalMode::Wal,
            Journal::Rollback => SqliteJournalMode::Delete,
        })
        // A killed process loses nothing that it wrote; only a machine without power would.
        .synchronous(SqliteSynchronous::Off)
}

pub(crate) fn builder(pool: SqlitePool) -> Builder<Sqlite> {
    DataDrip::builder(pool).poll_interval(POLL)
}
