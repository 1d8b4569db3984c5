//! One worker's planning of one run, from asking user code to the last batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLockReadGuard;

use crate::answer::ask;
use crate::backend::{Backend, KeySpec};
use crate::executor::alone::Turn;
use crate::executor::code::spec_of;
use crate::executor::planner::crowd::{Crowd, Place};
use crate::executor::planner::halt::{Halt, halt};
use crate::executor::{Engine, schedule};
use crate::key::Key;
use crate::registry::{Instance, scope_of};
use crate::run::Run;
use crate::store::plans::{self, Advance, Plan, Role};
use crate::store::runs;
use crate::walk::Walk;

/// One transaction of the planner, repeated while the database is busy.
macro_rules! persist {
    ($planner:expr, |$conn:ident| $work:expr) => {
        $crate::store::patiently!(
            DB,
            $planner.engine.core.config.lease,
            async { $crate::answer::ask_in_turn!($planner.engine, |$conn| $work) }.await
        )
    };
}
pub(super) use persist;

pub(super) struct Planner<'a, DB: Backend> {
    pub(super) engine: &'a Arc<Engine<DB>>,
    pub(super) role: &'a Role,
    pub(super) crowd: &'a Crowd,
    pub(super) place: Place<'a>,
    /// Something was planned.
    advanced: AtomicBool,
    /// How far it is planned.
    reached: Mutex<Reached>,
}

/// How far a run is planned.
#[derive(Clone)]
pub(super) struct Reached {
    pub(super) cursor: Option<Key>,
    /// Elements in the batches up to there.
    pub(super) elements: u64,
}

impl<'a, DB: Backend> Planner<'a, DB> {
    pub(super) fn new(
        engine: &'a Arc<Engine<DB>>,
        role: &'a Role,
        plan: &Plan,
        crowd: &'a Crowd,
        place: Place<'a>,
    ) -> Self {
        let reached = Reached { cursor: plan.cursor.clone(), elements: plan.elements };
        Self { engine, role, crowd, place, advanced: AtomicBool::new(false), reached: Mutex::new(reached) }
    }

    /// Whether something was planned.
    pub(super) fn has_advanced(&self) -> bool {
        self.advanced.load(Ordering::Relaxed)
    }

    pub(super) fn reached(&self) -> Reached {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the plan goes on to here, with so many elements more.
    pub(super) fn reach(&self, cursor: Option<&Key>, elements: u64) {
        self.advanced.store(true, Ordering::Relaxed);
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.cursor = cursor.cloned();
        reached.elements += elements;
    }

    /// Nothing else runs in this process until user code has been asked everything, if the caller is `alone`.
    pub(super) async fn run(&self, plan: Plan, alone: Option<Turn<'_>>) -> Result<(), Halt> {
        let run = self.find().await?;
        self.plan(&run, plan, alone).await.map_err(|halt| match halt {
            Halt::Refused(error) => Halt::Refused(self.engine.core.mask(&run).hide(&error).into_owned()),
            halt => halt,
        })
    }

    async fn plan(&self, run: &Run, plan: Plan, alone: Option<Turn<'_>>) -> Result<(), Halt> {
        if plan.losses >= schedule::MOST_PLANNER_LOSSES {
            let error = format!("given up: {} processes died while they prepared this run", plan.losses);
            return Err(Halt::Refused(error));
        }
        let instance = match self.engine.core.instance_of(run) {
            Ok(instance) => instance,
            Err(error) if self.engine.leaves_to_others(run.id, &error).await => return Err(Halt::Over),
            Err(error) => return Err(Halt::Refused(error.to_string())),
        };
        if !plan.prepared {
            self.prepare(run, &*instance, alone.is_some()).await?;
        }
        let beside_others = self.beside_others(alone.is_some()).await;
        if plan.prepared {
            self.mark(true).await?;
        }
        let scope = scope_of(&*instance).map_err(|failure| Halt::Refused(failure.report()))?;
        let spec = self.spec(&*instance, &plan).await?;
        let scope = scope.at(&spec);
        let walk = Walk::new(&scope, &spec);
        let upper = match plan.upper.clone() {
            Some(upper) => {
                self.mark(false).await?;
                upper
            }
            None => match self.pin(&walk, &spec).await? {
                Some(upper) => upper,
                // An empty table: everything is planned.
                None => {
                    return self.advance(Advance { position: plan.batches, done: true, ..Advance::default() }).await;
                }
            },
        };
        self.engine.codes.keep(&self.engine.core, run, &instance, &spec);
        drop((alone, beside_others));
        self.plan_and_count(run, &walk, plan, &upper).await
    }

    /// Keeps suspects away while user code is asked: should it kill the process, they are not to be blamed.
    pub(super) async fn beside_others(&self, alone: bool) -> Option<RwLockReadGuard<'_, ()>> {
        if alone { None } else { Some(self.engine.alone.shared().await) }
    }

    /// Writes down that user code is about to be asked, or has answered.
    pub(super) async fn mark(&self, asking: bool) -> Result<(), Halt> {
        let held = persist!(self, |conn| plans::mark::<DB>(conn, self.role, asking))?;
        if held { Ok(()) } else { Err(Halt::Over) }
    }

    async fn find(&self) -> Result<Run, Halt> {
        let patience = self.engine.patience();
        ask!(self.engine.pool, patience, |conn| runs::find_with::<DB>(conn, self.role.run, &self.engine.core.tallies))?
            .ok_or(Halt::Over)
    }

    async fn spec(&self, instance: &dyn Instance<DB>, plan: &Plan) -> Result<KeySpec, Halt> {
        let pinned = plan.spec.as_ref();
        let spec =
            ask!(self.engine.pool, self.engine.patience(), |conn| async { Ok(spec_of(instance, conn, pinned).await) })?;
        match spec {
            Err(error) if self.engine.leaves_to_others(self.role.run, &error).await => Err(Halt::Over),
            spec => spec.map_err(|error| halt::<DB>(&error)),
        }
    }

    /// Pins table, key and the greatest key of this moment; `None` for an empty table.
    async fn pin(&self, walk: &Walk<'_, DB>, spec: &KeySpec) -> Result<Option<Key>, Halt> {
        let upper = ask!(self.engine.pool, self.engine.patience(), |conn| async { Ok(walk.upper(conn).await) })?;
        let Some(upper) = upper.map_err(|error| halt::<DB>(&error))? else { return Ok(None) };
        let pinned = persist!(self, |conn| plans::pin::<DB>(conn, self.role, spec, &upper))?;
        if pinned { Ok(Some(upper)) } else { Err(Halt::Over) }
    }

    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Halt> {
        tokio::select! {
            () = self.engine.draining.cancelled() => Err(Halt::Over),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}
