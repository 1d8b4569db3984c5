//! The run API: starting runs, acting on them, reading them.

mod action;
mod asked;
mod enqueue;
mod overview;
mod preview;
mod query;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Pool;

pub use self::action::Action;
pub use self::enqueue::Enqueue;
pub use self::overview::{BackfillSummary, BatchDuration, FailureGroup, Failures, Slice, Throughput};
pub use self::preview::{Preview, PreviewStatement, Previewing, RowCount, Sample};
pub use self::query::{BatchQuery, LogQuery, RunQuery};
use crate::backend::Backend;
use crate::backfill::Backfill;
use crate::builder::Builder;
use crate::core::Core;
use crate::error::{Error, ErrorKind};
use crate::logs::LogTotals;
use crate::options::{Choice, Raw};
use crate::registry::{BackfillInfo, instance};
use crate::run::{Run, RunId, WorkerInfo};
use crate::store::runs::{self, Request, RunEvent};

/// Backfills on one database: the entrance to everything. Cheap to clone.
pub struct DataDrip<DB: Backend> {
    pub(crate) core: Arc<Core<DB>>,
}

impl<DB: Backend> Clone for DataDrip<DB> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

/// What a run of a backfill gets that does not say otherwise: what the environment says, else the backfill, else the builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defaults {
    /// Elements per batch.
    pub batch_size: u64,
    /// Pause of a slot after each batch.
    pub sleep: Duration,
}

impl<DB: Backend> DataDrip<DB> {
    pub(crate) fn new(core: Arc<Core<DB>>) -> Self {
        Self { core }
    }

    /// Begins to set it up on the host's pool.
    pub fn builder(pool: Pool<DB>) -> Builder<DB> {
        Builder::new(pool)
    }

    /// Asks for a run: await the result, after saying more about it if need be.
    ///
    /// # Errors
    /// See [`Enqueue`].
    pub fn enqueue<T: Backfill<Database = DB>>(&self, backfill: T) -> Enqueue<'_, DB> {
        let values = instance(backfill).values();
        Enqueue::new(&self.core, T::NAME, Ok(crate::core::raw(&values)))
    }

    /// Asks for a run by the backfill's name, with its options as a JSON object.
    ///
    /// # Errors
    /// See [`Enqueue`].
    pub fn enqueue_named(&self, name: &str, options: serde_json::Value) -> Enqueue<'_, DB> {
        Enqueue::new(&self.core, name, raw_of(options))
    }

    /// Looks at what a run would do, without doing it: how many rows, which, and by what SQL.
    ///
    /// Nothing is written, no batch runs, and no statement of it runs longer than a moment.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] mod example {
    /// # use data_drip::sqlite::prelude::*;
    /// # /// x
    /// # #[backfill]
    /// # pub struct Promote { pub department: String }
    /// # #[backfill]
    /// # impl Promote {
    /// #     fn scope(&self) -> Scope { Scope::table("employees") }
    /// #     async fn process_batch(&self, batch: &mut Batch<'_>) {}
    /// # }
    /// # pub
    /// async fn look(drip: DataDrip) -> Result<(), data_drip::Error> {
    ///     let preview = drip.preview(Promote { department: "Sales".into() }).limit(100).await?;
    ///     println!("{} rows in {} batches", preview.rows, preview.batches);
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Previewing`].
    pub fn preview<T: Backfill<Database = DB>>(&self, backfill: T) -> Previewing<'_, DB> {
        let values = instance(backfill).values();
        Previewing::new(&self.core, T::NAME, Ok(crate::core::raw(&values)))
    }

    /// As [`preview`](DataDrip::preview), by the backfill's name, with its options as a JSON object.
    ///
    /// # Errors
    /// See [`Previewing`].
    pub fn preview_named(&self, name: &str, options: serde_json::Value) -> Previewing<'_, DB> {
        Previewing::new(&self.core, name, raw_of(options))
    }

    /// As [`preview`](DataDrip::preview), with what a form sent.
    #[cfg_attr(not(feature = "dashboard"), expect(dead_code, reason = "the dashboard's way in"))]
    pub(crate) fn preview_raw(&self, name: &str, options: HashMap<String, Raw>) -> Previewing<'_, DB> {
        Previewing::new(&self.core, name, Ok(options))
    }

    /// Asks for a run with what a form sent.
    #[cfg_attr(not(feature = "dashboard"), expect(dead_code, reason = "the dashboard's way in"))]
    pub(crate) fn enqueue_raw(&self, name: &str, options: HashMap<String, Raw>) -> Enqueue<'_, DB> {
        Enqueue::new(&self.core, name, Ok(options))
    }

    /// Stops a run for good, until somebody resumes it: nothing of it starts any more. Batches in flight finish and
    /// count; with [`now`](Action::now) they are rolled back instead.
    pub fn stop(&self, id: RunId) -> Action<'_, DB> {
        Action::new(&self.core, id, Request::Stop { now: false })
    }

    /// Makes a run keep its place and start nothing new.
    pub fn pause(&self, id: RunId) -> Action<'_, DB> {
        Action::new(&self.core, id, Request::Pause)
    }

    /// Lets a paused or stopped run go on where it was.
    pub fn resume(&self, id: RunId) -> Action<'_, DB> {
        Action::new(&self.core, id, Request::Resume)
    }

    /// Gives the failed batches of a failed run all their attempts again; a run whose planning failed goes on planning.
    pub fn retry_failed_batches(&self, id: RunId) -> Action<'_, DB> {
        Action::new(&self.core, id, Request::Retry)
    }

    /// Deletes a settled run with its batches and events; what it did to the rows stays.
    pub fn delete(&self, id: RunId) -> Action<'_, DB> {
        Action::new(&self.core, id, Request::Delete)
    }

    /// Lists runs, newest first.
    pub fn runs(&self) -> RunQuery<'_, DB> {
        RunQuery::new(&self.core)
    }

    /// Lists the batches of a run, by position.
    pub fn batches(&self, id: RunId) -> BatchQuery<'_, DB> {
        BatchQuery::new(&self.core, id)
    }

    /// One run as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Database`].
    pub async fn run(&self, id: RunId) -> Result<Run, Error> {
        let mut conn = self.core.pool.acquire().await?;
        let found = runs::find_with::<DB>(&mut conn, id, &self.core.tallies).await?;
        found.ok_or_else(|| no_run(id))
    }

    /// Who did what to a run, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::Database`].
    pub async fn events(&self, id: RunId) -> Result<Vec<RunEvent>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(runs::events::<DB>(&mut conn, id).await?)
    }

    /// Reads what the run's code said through `tracing`, oldest first; see [`logs`](crate::logs).
    pub fn logs(&self, id: RunId) -> LogQuery<'_, DB> {
        LogQuery::new(&self.core, id)
    }

    /// How much of what the run's code said was kept, and how much dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Database`].
    pub async fn log_totals(&self, id: RunId) -> Result<LogTotals, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(crate::store::logs::totals::<DB>(&mut conn, id).await?)
    }

    /// Every worker of every process, alive and dead, and what each is doing.
    ///
    /// # Errors
    /// [`ErrorKind::Database`].
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(crate::store::workers::show::<DB>(&mut conn).await?)
    }

    /// Waits until a run is settled, completed, failed or stopped, and none of its batches is in flight any more.
    ///
    /// However long that takes: a paused run, or one that no worker takes, is waited for without a bound.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is deleted meanwhile, or [`ErrorKind::Database`].
    pub async fn wait(&self, id: RunId) -> Result<Run, Error> {
        loop {
            let changed = self.core.signals.changed.notified();
            let run = self.run(id).await?;
            if run.status.is_settled() && run.counts.running == 0 {
                return Ok(run);
            }
            // Another process may settle it: that is seen by looking.
            let _ = tokio::time::timeout(self.core.config.poll_interval, changed).await;
        }
    }

    /// Every backfill that this process has code for, by name.
    pub fn backfills(&self) -> Vec<&BackfillInfo> {
        self.core.registry.iter().map(|registration| &registration.info).collect()
    }

    /// One backfill.
    pub fn backfill(&self, name: &str) -> Option<&BackfillInfo> {
        self.core.registry.get(name).map(|registration| &registration.info)
    }

    /// The values that may be chosen for an option, from the database; `None` when any will do.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown backfill; [`ErrorKind::Database`] when the function that lists the values
    /// failed.
    pub async fn choices(&self, name: &str, field: &str) -> Result<Option<Vec<Choice>>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        asked::choices(&**self.core.definition(name)?, field, &mut conn).await
    }

    /// Backfills that have runs in the database but no code in this process.
    ///
    /// # Errors
    /// [`ErrorKind::Database`].
    pub async fn names_without_code(&self) -> Result<Vec<String>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        let mut names = runs::backfill_names::<DB>(&mut conn).await?;
        names.retain(|name| self.backfill(name).is_none());
        Ok(names)
    }

    /// What a run of this backfill gets that does not say otherwise.
    pub fn defaults(&self, backfill: &BackfillInfo) -> Defaults {
        let config = &self.core.config;
        Defaults { batch_size: config.batch_size_for(&backfill.settings), sleep: config.sleep_for(&backfill.settings) }
    }
}

/// Options as JSON, as the parser takes them.
fn raw_of(options: serde_json::Value) -> Result<HashMap<String, Raw>, String> {
    match options {
        serde_json::Value::Object(values) => Ok(crate::core::raw(&values)),
        serde_json::Value::Null => Ok(HashMap::new()),
        // The value itself may hold what is masked.
        _ => Err("options must be a JSON object".to_owned()),
    }
}

pub(crate) fn no_run(id: RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no run {id}"))
}
