//! For tests of the host's own backfills: run one inline, to its end.

use std::time::Duration;

use sqlx::Pool;

use crate::backend::Backend;
use crate::backfill::Backfill;
use crate::builder::Builder;
use crate::error::Error;
use crate::run::{Run, RunBatch};

/// A run that has ended, and all its batches by position.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// The run: look at its `status`, `error` and `counts`.
    pub run: Run,
    /// Its batches, each with its `status` and `error`.
    pub batches: Vec<RunBatch>,
}

impl Finished {
    /// The errors of failed batches, by position.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.batches.iter().filter_map(|batch| batch.error.as_deref())
    }
}

/// Runs a backfill to its end on `pool`, planned, claimed and committed as in production, and returns what came of it.
///
/// DataDrip's own tables are created where they are missing. A failed run is not an error of this function.
///
/// ```
/// # use data_drip::sqlite::prelude::*;
/// /// Upper case, please.
/// #[backfill]
/// pub struct Shout;
///
/// #[backfill]
/// impl Shout {
///     fn scope(&self) -> Scope {
///         Scope::table("words")
///     }
///
///     async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
///         batch.update_all().set_expr("word", "upper(word)").execute().await?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// # sqlx::raw_sql("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO words (word) VALUES ('a'), ('b')")
/// #     .execute(&pool).await?;
/// let done = data_drip::testing::run(&pool, Shout).await?;
/// assert_eq!(done.run.counts.processed, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`build`](crate::Builder::build): a state that it was not given (see [`Runner`]), a server or a pool that is refused; as
/// [`Enqueue`](crate::api::Enqueue): refused options, an empty scope, a table that cannot be walked, the same run active; and
/// [`Database`](crate::ErrorKind::Database).
pub async fn run<T: Backfill>(pool: &Pool<T::Database>, backfill: T) -> Result<Finished, Error> {
    Runner::new(pool).run(backfill).await
}

/// Like [`run`], for backfills that ask for the application's values, or with another batch size.
#[must_use = "nothing happens before `run`"]
pub struct Runner<DB: Backend> {
    builder: Builder<DB>,
    batch_size: Option<u64>,
    limit: Option<u64>,
}

impl<DB: Backend> Runner<DB> {
    /// On the host's pool; a database in memory is fine.
    pub fn new(pool: &Pool<DB>) -> Self {
        let builder = Builder::new(pool.clone())
            .only_given()
            .share_pool()
            .poll_interval(Duration::from_millis(20))
            .grace(Duration::from_secs(5));
        Self { builder, batch_size: None, limit: None }
    }

    /// Gives a value to `State<S>` arguments.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.builder = self.builder.state(value);
        self
    }

    /// Elements per batch.
    pub fn batch_size(mut self, elements: u64) -> Self {
        self.batch_size = Some(elements);
        self
    }

    /// No more elements than this.
    pub fn limit(mut self, elements: u64) -> Self {
        self.limit = Some(elements);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// See [`run`].
    pub async fn run<T: Backfill<Database = DB>>(self, backfill: T) -> Result<Finished, Error> {
        let drip = self.builder.with::<T>().build().await?;
        let mut wish = drip.enqueue(backfill);
        if let Some(elements) = self.batch_size {
            wish = wish.batch_size(elements);
        }
        if let Some(elements) = self.limit {
            wish = wish.limit(elements);
        }
        let worker = drip.start();
        let finished = async {
            let run = wish.await?;
            let run = drip.wait(run.id).await?;
            let batches = drip.batches(run.id).limit(u32::MAX).await?;
            Ok(Finished { run, batches })
        }
        .await;
        worker.shutdown().await;
        finished
    }
}
