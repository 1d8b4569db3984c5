//! Acting on a run: stop, pause, resume, retry, delete.

use std::future::IntoFuture;

use crate::api::no_run;
use crate::backend::Backend;
use crate::backfill::BoxFuture;
use crate::core::{Core, PATIENCE};
use crate::error::{Error, ErrorKind};
use crate::hooks::Event;
use crate::inside::refuse_inside;
use crate::lent::Lent;
use crate::run::{Backfiller, Run, RunId};
use crate::status::{BatchStatus, RunStatus};
use crate::store::runs::{self, Change, Request};
use crate::store::{json_list, patiently};

/// A change that somebody asks for; await it. It gives back the run as it is afterwards (as it was, once deleted).
///
/// # Errors
/// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] when the run's status does not allow it, or the same run was started
/// again since; [`ErrorKind::Configuration`] inside a batch or `before_run`; [`ErrorKind::Database`].
#[must_use = "nothing happens before it is awaited"]
pub struct Action<'a, DB: Backend> {
    core: &'a Core<DB>,
    id: RunId,
    request: Request,
    by: Option<Backfiller>,
}

impl<'a, DB: Backend> Action<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, id: RunId, request: Request) -> Self {
        Self { core, id, request, by: None }
    }

    /// Who asks for it, for the run's events.
    pub fn by(mut self, backfiller: &Backfiller) -> Self {
        self.by = Some(backfiller.clone());
        self
    }

    /// Of `stop`: rolls batches in flight back, in whichever process they run, and lets nothing of them commit.
    pub fn now(mut self) -> Self {
        if let Request::Stop { now } = &mut self.request {
            *now = true;
        }
        self
    }

    async fn act(self) -> Result<Run, Error> {
        let Self { core, id, request, by } = self;
        refuse_inside("changing a run", "do it in a hook, or fail the batch")?;
        // Batches in flight here are rolled back first: on SQLite they hold the lock that the change needs.
        let now = matches!(request, Request::Stop { now: true });
        let _here = now.then(|| core.signals.halt(id));
        let _elsewhere = now.then(|| DB::call_to_stop(&core.pool, id));
        let before = find(core, id).await?;
        let change = patiently!(DB, PATIENCE, change(core, id, request, by.as_ref()).await)?;
        let (from, to, batches) = match change {
            Change::Done { from, to, batches } => (from, to, batches),
            Change::Missing => return Err(no_run(id)),
            refused => return Err(conflict(id, request, &refused)),
        };
        tracing::info!(run = id.0, %from, %to, action = request.action(), "a person changed a run");
        if from != to {
            core.hooks.announce(Event::Run(id, to));
        }
        if !batches.is_empty() {
            let status = if to == RunStatus::Stopped { BatchStatus::Stopped } else { BatchStatus::Pending };
            tracing::debug!(run = id.0, %status, batches = json_list(&batches), "batches changed with their run");
            core.hooks.announce(Event::Batches(id, status, batches));
        }
        core.signals.stir();
        core.signals.changed.notify_waiters();
        if request == Request::Delete {
            return Ok(before);
        }
        find(core, id).await
    }
}

async fn find<DB: Backend>(core: &Core<DB>, id: RunId) -> Result<Run, Error> {
    let mut conn = core.pool.acquire().await?;
    runs::find_with::<DB>(&mut conn, id, &core.tallies).await?.ok_or_else(|| no_run(id))
}

async fn change<DB: Backend>(
    core: &Core<DB>,
    id: RunId,
    request: Request,
    by: Option<&Backfiller>,
) -> sqlx::Result<Change> {
    // First the turn: whoever has it may need a connection of this very pool before it ends.
    let _turn = core.turn_in_time().await?;
    let mut conn = Lent::of(&core.pool).await?;
    let changed = runs::change::<DB>(&mut conn, id, request, by).await;
    conn.after(changed).await
}

fn conflict(id: RunId, request: Request, change: &Change) -> Error {
    let message = match (change, request) {
        (Change::InFlight, _) => format!("a batch of run {id} is still in flight: try again when it has ended"),
        (Change::Nothing, _) => format!("run {id} has no failed batches"),
        (Change::Duplicate(other), _) => {
            format!("run {other} is the same (backfill, options and limit) and active: wait for it or stop it first")
        }
        (Change::Refused(status), Request::Delete) => format!("run {id} is {status}: stop it before deleting it"),
        (Change::Refused(status), Request::Stop { .. }) => format!("run {id} is {status}: there is nothing to stop"),
        (Change::Refused(status), Request::Pause) => {
            format!("run {id} is {status}: only a pending, enqueued or running one can be paused")
        }
        (Change::Refused(status), Request::Resume) => {
            format!("run {id} is {status}: only a paused or stopped one can be resumed")
        }
        (Change::Refused(status), Request::Retry) => {
            format!("run {id} is {status}: only a failed one has failed batches to retry")
        }
        (Change::Done { .. } | Change::Missing, _) => unreachable!("not a refusal"),
    };
    Error::new(ErrorKind::Conflict, message)
}

impl<'a, DB: Backend> IntoFuture for Action<'a, DB> {
    type Output = Result<Run, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.act())
    }
}
