//! What the arguments and results of a backfill's functions may be.
//!
//! Generated code asks each of these traits about a type *as the user wrote it*, so that a wrong one is reported on the
//! user's own token, in our words.

use super::{BoxFuture, Context, State, StateType};
use crate::backend::Backend;
use crate::batch::{Batch, Element, FromBatchRow};
use crate::error::{Error, Failure, Result};
use crate::run::{Run, RunBatch};
use crate::scope::Scope;

/// What `scope` returns; says which database the backfill is written for.
#[diagnostic::on_unimplemented(
    message = "`scope` must return a `Scope`, not `{Self}`",
    label = "not a scope",
    note = "write `fn scope(&self) -> Scope`, with `Scope` from `data_drip::sqlite::prelude` or another database's"
)]
pub trait IsScope {
    /// The database.
    type Database: Backend;

    /// The scope itself.
    fn into_scope(self) -> Scope<Self::Database>;
}

impl<DB: Backend> IsScope for Scope<DB> {
    type Database = DB;

    fn into_scope(self) -> Self {
        self
    }
}

/// The first argument of `process_batch`.
#[diagnostic::on_unimplemented(
    message = "`process_batch` is given its batch as `&mut Batch<'_>`, not as `{Self}`",
    label = "write `&mut Batch<'_>`"
)]
pub trait BatchArgument<'b, 't, DB: Backend> {
    #[doc(hidden)]
    fn from_batch(batch: &'b mut Batch<'t, DB>) -> Self;
}

impl<'b, 't, DB: Backend> BatchArgument<'b, 't, DB> for &'b mut Batch<'t, DB> {
    fn from_batch(batch: &'b mut Batch<'t, DB>) -> Self {
        batch
    }
}

/// The first argument of `process_element`: any `sqlx::FromRow` of the backfill's database.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row of this backfill's database",
    label = "not a row type",
    note = "a row is a struct with `#[derive(sqlx::FromRow)]`, or a tuple: `(i64, String)`, `(i64,)`"
)]
pub trait RowArgument<DB: Backend>: Sized {
    #[doc(hidden)]
    fn elements<'b>(batch: &'b mut Batch<'_, DB>) -> BoxFuture<'b, Result<Vec<Element<Self>>, Error>>;
}

#[diagnostic::do_not_recommend]
impl<DB: Backend, R: FromBatchRow<DB>> RowArgument<DB> for R {
    fn elements<'b>(batch: &'b mut Batch<'_, DB>) -> BoxFuture<'b, Result<Vec<Element<Self>>, Error>> {
        Box::pin(batch.elements())
    }
}

/// The connection that `process_element` and `before_run` are given.
#[diagnostic::on_unimplemented(
    message = "the connection is given as `&mut Connection`, not as `{Self}`",
    label = "write `&mut Connection`",
    note = "`Connection` from `data_drip::sqlite::prelude` is sqlx's connection of that database, inside the transaction"
)]
pub trait ConnectionArgument<'c, DB: Backend> {
    #[doc(hidden)]
    fn from_connection(conn: &'c mut DB::Connection) -> Self;
}

// One impl for each database and not one for all: over `&mut DB::Connection` rustc reports a wrong type as a mismatched
// projection and never shows the text above.
#[cfg(feature = "sqlite")]
impl<'c> ConnectionArgument<'c, sqlx::Sqlite> for &'c mut sqlx::SqliteConnection {
    fn from_connection(conn: &'c mut sqlx::SqliteConnection) -> Self {
        conn
    }
}

#[cfg(feature = "postgres")]
impl<'c> ConnectionArgument<'c, sqlx::Postgres> for &'c mut sqlx::PgConnection {
    fn from_connection(conn: &'c mut sqlx::PgConnection) -> Self {
        conn
    }
}

#[cfg(feature = "mysql")]
impl<'c> ConnectionArgument<'c, sqlx::MySql> for &'c mut sqlx::MySqlConnection {
    fn from_connection(conn: &'c mut sqlx::MySqlConnection) -> Self {
        conn
    }
}

/// The first argument of `before_run` and of every hook.
#[diagnostic::on_unimplemented(message = "the run is given as `&Run`, not as `{Self}`", label = "write `&Run`")]
pub trait RunArgument<'r> {
    #[doc(hidden)]
    fn from_run(run: &'r Run) -> Self;
}

impl<'r> RunArgument<'r> for &'r Run {
    fn from_run(run: &'r Run) -> Self {
        run
    }
}

/// The second argument of the batch hooks.
#[diagnostic::on_unimplemented(
    message = "a batch hook is given its batch as `&RunBatch`, not as `{Self}`",
    label = "write `&RunBatch`"
)]
pub trait RunBatchArgument<'b> {
    #[doc(hidden)]
    fn from_run_batch(batch: &'b RunBatch) -> Self;
}

impl<'b> RunBatchArgument<'b> for &'b RunBatch {
    fn from_run_batch(batch: &'b RunBatch) -> Self {
        batch
    }
}

/// Every further argument, in any order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a function of a backfill can be given here",
    label = "neither `&Run` nor `State<…>`",
    note = "further arguments are `&Run`, the run, and `State<S>`, a value given by `builder.state(…)`",
    note = "the connection is `batch.conn()` in `process_batch`; hooks have none, what they tell of is committed"
)]
pub trait ContextArgument<'c> {
    /// The state that has to be there for it.
    #[doc(hidden)]
    fn state() -> Option<StateType> {
        None
    }

    #[doc(hidden)]
    fn from_context(context: &'c Context) -> Self;
}

impl<'c> ContextArgument<'c> for &'c Run {
    fn from_context(context: &'c Context) -> Self {
        context.run()
    }
}

impl<S: Send + Sync + 'static> ContextArgument<'_> for State<S> {
    fn state() -> Option<StateType> {
        Some(StateType::of::<S>())
    }

    fn from_context(context: &Context) -> Self {
        context.state()
    }
}

/// What a function of a backfill may return: `()` or `Result<(), E>`.
#[diagnostic::on_unimplemented(
    message = "a function of a backfill returns `()` or `Result<(), E>`, not `{Self}`",
    label = "unexpected return type",
    note = "`E` is any error type, `anyhow::Error`, or `data_drip::Failure`: `data_drip::Result` is the short form",
    note = "a boxed error has to be `Box<dyn std::error::Error + Send + Sync>`"
)]
pub trait IntoOutcome {
    /// The result that the engine works with.
    ///
    /// # Errors
    /// What user code returned.
    fn into_outcome(self) -> Result;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result {
        Ok(())
    }
}

// Else rustc looks through this impl and reports some `From` that `E` lacks.
#[diagnostic::do_not_recommend]
impl<E: Into<Failure>> IntoOutcome for std::result::Result<(), E> {
    fn into_outcome(self) -> Result {
        self.map_err(Into::into)
    }
}

/// What a `choices` function may return.
#[diagnostic::on_unimplemented(
    message = "a `choices` function returns `Result<Vec<C>, E>`, not `{Self}`",
    label = "unexpected return type",
    note = "`C` is a `Choice`, or anything that can be shown; `E` is any error"
)]
pub trait IntoChoices {
    #[doc(hidden)]
    fn into_choices(self) -> Result<Vec<crate::options::Choice>>;
}

#[diagnostic::do_not_recommend]
impl<C: Into<crate::options::Choice>, E: Into<Failure>> IntoChoices for std::result::Result<Vec<C>, E> {
    fn into_choices(self) -> Result<Vec<crate::options::Choice>> {
        self.map(|choices| choices.into_iter().map(Into::into).collect()).map_err(Into::into)
    }
}
