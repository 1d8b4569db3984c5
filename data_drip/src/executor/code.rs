//! A run's code in this process: its options parsed, its table and key compared with what the planner pinned.

use std::sync::Arc;

use crate::backend::{Backend, KeySpec};
use crate::backfill::Context;
use crate::core::Core;
use crate::error::{Error, ErrorKind};
use crate::options::Mask;
use crate::registry::{Instance, scope_of};
use crate::run::{Run, RunId};
use crate::scope::Scope;
use crate::store::kept::Kept;
use crate::store::{plans, runs};

/// Runs kept ready at most: with more of them at work, which take turns, each batch would read its run anew.
const KEPT: usize = 1_024;

/// Everything a batch needs that is the same for each batch of a run.
pub(super) struct Code<DB: Backend> {
    pub(super) run: Arc<Run>,
    pub(super) instance: Arc<dyn Instance<DB>>,
    pub(super) context: Context,
    pub(super) spec: KeySpec,
    pub(super) lock: bool,
    /// What must not be said of it.
    pub(super) mask: Mask,
}

impl<DB: Backend> Code<DB> {
    fn new(core: &Core<DB>, run: Run, instance: Arc<dyn Instance<DB>>, spec: KeySpec) -> Self {
        let mask = core.mask(&run);
        let lock = core.registry.get(&run.backfill).is_none_or(|registration| registration.info.settings.lock);
        let run = Arc::new(run);
        let context = Context::new(Arc::clone(&run), core.states.clone());
        Self { run, instance, context, spec, lock, mask }
    }

    /// Asks user code which rows.
    pub(super) fn scope(&self) -> crate::Result<Scope<DB>> {
        Ok(scope_of(&*self.instance)?.at(&self.spec))
    }
}

/// The runs that this process has worked on lately.
pub(super) struct Codes<DB: Backend>(Kept<Arc<Code<DB>>, KEPT>);

impl<DB: Backend> Default for Codes<DB> {
    fn default() -> Self {
        Self(Kept::default())
    }
}

/// Why a run cannot be worked on here.
pub(super) enum Unfit {
    /// Its options do not fit the code, its table cannot be walked, or the code names another table or key than the one that
    /// was pinned: nobody with this code can.
    Code(Error),
    /// The database did not answer.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Unfit {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl<DB: Backend> Codes<DB> {
    pub(super) async fn get(
        &self,
        core: &Core<DB>,
        conn: &mut DB::Connection,
        id: RunId,
    ) -> Result<Arc<Code<DB>>, Unfit> {
        if let Some(code) = self.0.get(id) {
            return Ok(code);
        }
        let loaded = Arc::new(load(core, conn, id).await?);
        self.0.keep(id, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Keeps what the planner has found out, so that the slots of its process need not.
    pub(super) fn keep(&self, core: &Core<DB>, run: &Run, instance: &Arc<dyn Instance<DB>>, spec: &KeySpec) {
        let found = Code::new(core, run.clone(), Arc::clone(instance), spec.clone());
        self.0.keep(run.id, Arc::new(found));
    }

    pub(super) fn forget(&self, id: RunId) {
        self.0.forget(id);
    }
}

async fn load<DB: Backend>(core: &Core<DB>, conn: &mut DB::Connection, id: RunId) -> Result<Code<DB>, Unfit> {
    let run = runs::find_with::<DB>(conn, id, &core.tallies).await?.ok_or(sqlx::Error::RowNotFound)?;
    let plan = plans::find::<DB>(conn, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let instance = core.instance_of(&run).map_err(Unfit::Code)?;
    let spec = spec_of(&*instance, conn, plan.spec.as_ref()).await.map_err(|error| match error.kind() {
        ErrorKind::Database => Unfit::Database(sqlx::Error::Protocol(error.to_string())),
        // It may quote the options: a panic of `scope` does.
        kind => Unfit::Code(Error::new(kind, core.mask(&run).hide(&error.to_string()).into_owned())),
    })?;
    Ok(Code::new(core, run, instance, spec))
}

/// The table and key that the code names, as the catalogue describes them; [`ErrorKind::Conflict`] when others are
/// pinned.
pub(super) async fn spec_of<DB: Backend>(
    instance: &dyn Instance<DB>,
    conn: &mut DB::Connection,
    pinned: Option<&KeySpec>,
) -> Result<KeySpec, Error> {
    let scope = scope_of(instance).map_err(|failure| Error::new(ErrorKind::Unsupported, failure.report()))?;
    let spec = scope.resolve(conn).await?;
    match pinned {
        Some(pinned) if *pinned != spec => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the run was planned over {pinned}, but the code of this process says {spec}: start a new run, or deploy the code \
                 that it was planned by"
            ),
        )),
        _ => Ok(spec),
    }
}
