//! Asking for a run: every refusal happens here, before anything is written.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::api::asked::{Asked, Checked};
use crate::backend::{Backend, Call};
use crate::backfill::BoxFuture;
use crate::core::{Core, Link, PATIENCE};
use crate::error::{Error, ErrorKind, FieldError};
use crate::hooks::Event;
use crate::inside::refuse_inside;
use crate::lent::Lent;
use crate::options::Raw;
use crate::run::{Backfiller, Run, RunId};
use crate::store::patiently;
use crate::store::runs::{self, NewRun};
use crate::walk::Walk;

/// How long to look for a first row before the scope counts as not known to be empty.
const PROBE: Duration = Duration::from_millis(200);

/// A run that somebody asks for; await it.
///
/// # Errors
/// - [`ErrorKind::NotFound`]: no backfill has that name;
/// - [`ErrorKind::Invalid`]: with [`fields`](Error::fields): bad or unknown options, a value that is not among the choices
///   from the database, a batch size below 1 or above 2^63 - 1, a limit of 0, a pause of more than a day, a blank queue, a
///   scope without rows;
/// - [`ErrorKind::Unsupported`]: the table or its key cannot be walked, and the message says how to mend it; or `scope`
///   panicked;
/// - [`ErrorKind::Conflict`]: the same run (backfill, options and limit) is active;
/// - [`ErrorKind::Configuration`]: a table or column that is not there; inside a batch or `before_run`, without
///   [`in_tx`](Enqueue::in_tx);
/// - [`ErrorKind::Database`]: it did not answer, or the function that lists an option's choices failed.
#[must_use = "nothing happens before it is awaited"]
pub struct Enqueue<'a, DB: Backend> {
    asked: Asked<'a, DB>,
    conn: Option<&'a mut DB::Connection>,
}

impl<'a, DB: Backend> Enqueue<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, name: &str, options: Result<HashMap<String, Raw>, String>) -> Self {
        Self { asked: Asked::new(core, name, options), conn: None }
    }

    /// Elements per batch; at least 1. Without it what the environment says, else the backfill, else the builder.
    pub fn batch_size(mut self, elements: u64) -> Self {
        self.asked.batch_size = Some(elements);
        self
    }

    /// Pause of a slot after each batch; at most a day. Without it as for [`batch_size`](Enqueue::batch_size).
    pub fn sleep(mut self, pause: Duration) -> Self {
        self.asked.sleep = Some(pause);
        self
    }

    /// Never process more elements than this: a trial run. Rows that leave the scope meanwhile are not replaced.
    pub fn limit(mut self, elements: u64) -> Self {
        self.asked.limit = Some(elements);
        self
    }

    /// Does not begin before this time. The scope may still be empty until then.
    pub fn start_at(mut self, at: DateTime<Utc>) -> Self {
        self.asked.start_at = Some(at);
        self
    }

    /// Who asks for it.
    pub fn by(mut self, backfiller: &Backfiller) -> Self {
        self.asked.by = Some(backfiller.clone());
        self
    }

    /// Only workers that take this queue take it: those of this queue, and those that were given no queues. Without it the
    /// backfill's own queue, else `default`. A run in a queue that no worker takes waits for ever.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.asked.queue = Some(queue.into());
        self
    }

    /// Writes the run in the host's transaction: it exists if and only if that commits.
    ///
    /// The scope is not looked at for rows, and no hook tells of its creation: whether and when the host commits is not
    /// known here. On PostgreSQL that commit wakes workers; elsewhere they find it by polling.
    pub fn in_tx(mut self, conn: &'a mut DB::Connection) -> Self {
        self.conn = Some(conn);
        self
    }
}

impl<DB: Backend> Asked<'_, DB> {
    async fn enqueue_in(self, conn: &mut DB::Connection) -> Result<Run, Error> {
        let checked = self.checked(conn).await?;
        let id = insert::<DB>(conn, &checked.new).await??;
        tracing::debug!(run = id.0, backfill = self.name, "a run was written in the host's transaction");
        runs::find::<DB>(conn, id).await?.ok_or_else(|| super::no_run(id))
    }

    async fn enqueue(self) -> Result<Run, Error> {
        refuse_inside("asking for a run", "use `.in_tx(batch.conn())`, or do it in a hook")?;
        let mut link = Link::acquire(&self.core.pool).await?;
        let checked = self.checked_and_probed(&mut link).await;
        // Not kept while waiting for the turn: whoever has it may need a connection of this very pool before it ends.
        link.release().await;
        let new = checked?.new;
        let id = patiently!(DB, PATIENCE, insert_alone::<DB>(self.core, &new).await)??;
        let found = runs::find::<DB>(&mut *self.core.pool.acquire().await?, id).await?;
        let run = found.ok_or_else(|| super::no_run(id))?;
        tracing::info!(run = run.id.0, backfill = run.backfill, status = %run.status, "a run was asked for");
        self.core.hooks.announce(Event::Run(run.id, run.status));
        self.core.signals.stir();
        Ok(run)
    }

    async fn checked_and_probed(&self, link: &mut Link<DB>) -> Result<Checked<DB>, Error> {
        let checked = self.checked(link).await?;
        self.probe(link, &checked).await?;
        Ok(checked)
    }

    /// Refuses a scope without rows, as far as that shows in time.
    async fn probe(&self, link: &mut Link<DB>, checked: &Checked<DB>) -> Result<(), Error> {
        if self.start_at.is_some_and(|at| at > Utc::now()) {
            return Ok(());
        }
        let (conn, session) = link.parts();
        match Walk::new(&checked.scope, &checked.spec).any(conn, session, PROBE).await? {
            Some(false) => Err(Error::invalid(vec![FieldError::new("base", "no records to process")])),
            Some(true) | None => Ok(()),
        }
    }
}

/// [`insert`] in a transaction of its own.
async fn insert_alone<DB: Backend>(core: &Core<DB>, new: &NewRun) -> sqlx::Result<Result<RunId, Error>> {
    let _turn = core.turn_in_time().await?;
    let mut conn = Lent::of(&core.pool).await?;
    let inserted = insert_in_one::<DB>(&mut conn, new).await;
    conn.after(inserted).await
}

async fn insert_in_one<DB: Backend>(conn: &mut DB::Connection, new: &NewRun) -> sqlx::Result<Result<RunId, Error>> {
    let mut tx = DB::begin(conn).await?;
    let outcome = insert::<DB>(&mut tx, new).await?;
    if outcome.is_ok() {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(outcome)
}

/// Writes the run and its first event; the inner error names the active run that is the same.
async fn insert<DB: Backend>(conn: &mut DB::Connection, new: &NewRun) -> sqlx::Result<Result<RunId, Error>> {
    match runs::insert::<DB>(conn, new).await? {
        Ok(id) => {
            runs::event::<DB>(conn, id, "enqueued", new.backfiller.as_ref(), None).await?;
            // With the commit of whatever transaction this is.
            DB::notify(conn, Call::Work).await?;
            Ok(Ok(id))
        }
        Err(other) => {
            let other = other.map_or_else(|| "another run".to_owned(), |id| format!("run {id}"));
            let message = format!(
                "{other} is the same (backfill `{}`, options and limit) and still active: wait for it or stop it first",
                new.backfill
            );
            let field = FieldError::new("base", message.as_str());
            Ok(Err(Error::new(ErrorKind::Conflict, message).with_fields(vec![field])))
        }
    }
}

impl<'a, DB: Backend> IntoFuture for Enqueue<'a, DB> {
    type Output = Result<Run, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        match self.conn {
            Some(conn) => Box::pin(self.asked.enqueue_in(conn)),
            None => Box::pin(self.asked.enqueue()),
        }
    }
}
