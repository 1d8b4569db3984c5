//! The trait that a backfill implements, and what its functions are given.

mod arguments;

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use crate::backend::Backend;
use crate::batch::Batch;
use crate::error::Result;
use crate::options::Options;
use crate::run::{Run, RunBatch};
use crate::scope::Scope;

pub use arguments::{
    BatchArgument, ConnectionArgument, ContextArgument, IntoChoices, IntoOutcome, IsScope, RowArgument, RunArgument,
    RunBatchArgument,
};

/// A boxed future, as the erased edge of the engine needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The connection type of a backfill's database: what plain sqlx takes.
pub type ConnectionOf<T> = <<T as Backfill>::Database as sqlx::Database>::Connection;

/// A backfill: which rows, and what to do with a batch of them.
///
/// `#[backfill] impl …` emits this. Written by hand, a plain `async fn` will do for `process`:
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # mod host {
/// use data_drip::backfill::{Backfill, Context};
/// use data_drip::options::{Input, Options};
/// use data_drip::sqlite::prelude::*;
///
/// struct AddRole;
///
/// impl Options for AddRole {
///     const NAME: &'static str = "add_role";
///
///     fn parse(_: &mut Input<'_>) -> Option<Self> {
///         Some(Self)
///     }
/// }
///
/// impl Backfill for AddRole {
///     type Database = sqlx::Sqlite;
///
///     fn scope(&self) -> Scope {
///         Scope::table("employees").filter(col("role").is_null())
///     }
///
///     async fn process(&self, batch: &mut Batch<'_>, _: &Context) -> data_drip::Result {
///         batch.update_all().set("role", "intern").execute().await?;
///         Ok(())
///     }
/// }
/// # }
/// ```
///
/// It registers itself with nobody: give it to the builder with [`with`](crate::Builder::with).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is marked `#[backfill]` but has no `#[backfill] impl {Self} {{ … }}` block",
    label = "needs `fn scope` and one of `process_batch` / `process_element`",
    note = "put `#[data_drip::backfill]` on the inherent impl block that holds `scope` and the processing function"
)]
pub trait Backfill: Options {
    /// The database it is written for.
    type Database: Backend;
    /// Whether rows are processed one by one or a batch at a time; for the dashboard.
    const MODE: Mode = Mode::Batch;
    /// The hooks that [`on_hook`](Backfill::on_hook) answers; those win over the global handler.
    const HOOKS: &'static [Hook] = &[];

    /// The application's own values that it asks for; a missing one is a start-up error.
    fn states() -> Vec<StateType> {
        Vec::new()
    }

    /// Which rows. Called anew for each batch; must depend on the options only.
    fn scope(&self) -> Scope<Self::Database>;

    /// Processes one batch, inside its transaction. An error rolls the batch back and fails it.
    fn process(&self, batch: &mut Batch<'_, Self::Database>, context: &Context) -> impl Future<Output = Result> + Send;

    /// Runs before the first batch is planned, in a transaction of its own; an error refuses the run.
    ///
    /// At least once for each run, and never twice at a time.
    fn before_run(
        &self,
        run: &Run,
        conn: &mut ConnectionOf<Self>,
        context: &Context,
    ) -> impl Future<Output = Result> + Send {
        let _ = (run, conn, context);
        std::future::ready(Ok(()))
    }

    /// Answers the hooks named in [`HOOKS`](Backfill::HOOKS), after the change is committed.
    ///
    /// `batch` is there for the batch hooks. An error or a panic is logged and changes nothing.
    fn on_hook(
        &self,
        hook: Hook,
        run: &Run,
        batch: Option<&RunBatch>,
        context: &Context,
    ) -> impl Future<Output = Result> + Send {
        let _ = (hook, run, batch, context);
        std::future::ready(Ok(()))
    }
}

/// How a backfill processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `process_batch`.
    Batch,
    /// `process_element`.
    Element,
}

/// A change of status that user code can be told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after the status it follows")]
pub enum Hook {
    RunPending,
    RunEnqueued,
    RunRunning,
    RunPaused,
    RunCompleted,
    RunFailed,
    RunStopped,
    BatchPending,
    BatchRunning,
    BatchCompleted,
    BatchFailed,
    BatchStopped,
}

/// What a function of a backfill can ask for besides its rows: the run and the application's own values.
#[derive(Clone)]
pub struct Context {
    run: Arc<Run>,
    states: States,
}

impl Context {
    pub(crate) fn new(run: Arc<Run>, states: States) -> Self {
        Self { run, states }
    }

    /// The run: who and which options. Its status and counts are those of the first batch of the run in this process; what
    /// they are now, [`DataDrip::run`](crate::api::DataDrip::run) tells.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The value given to `builder.state(…)`.
    ///
    /// # Panics
    /// When none of this type was given. A backfill that lists it in [`Backfill::states`] is refused at start-up
    /// before that can happen.
    pub fn state<S: Send + Sync + 'static>(&self) -> State<S> {
        self.states.get().unwrap_or_else(|| {
            panic!(
                "no state of type `{}` was given to the builder: give it one with `.state(…)`, and list the type in \
                 `Backfill::states`, so that a missing one is an error at start-up",
                type_name::<S>()
            )
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("run", &self.run).finish_non_exhaustive()
    }
}

/// One of the application's own values: a client, a configuration. Cheap to clone.
///
/// Given by `builder.state(value)`, asked for by a `State<S>` argument.
pub struct State<S: ?Sized>(Arc<S>);

impl<S> State<S> {
    /// Wraps a value, to call a backfill's function by hand.
    pub fn new(value: S) -> Self {
        Self(Arc::new(value))
    }
}

impl<S: ?Sized> Clone for State<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: ?Sized> Deref for State<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: fmt::Debug + ?Sized> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The type of a value that a backfill asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateType {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl StateType {
    /// The type `S`.
    pub fn of<S: Send + Sync + 'static>() -> Self {
        Self { id: TypeId::of::<S>(), name: type_name::<S>() }
    }
}

/// The application's values, by type.
#[derive(Clone, Default)]
pub(crate) struct States(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl States {
    pub(crate) fn insert<S: Send + Sync + 'static>(&mut self, value: S) {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<S>(), Arc::new(value));
    }

    pub(crate) fn has(&self, wanted: StateType) -> bool {
        self.0.contains_key(&wanted.id)
    }

    fn get<S: Send + Sync + 'static>(&self) -> Option<State<S>> {
        Arc::clone(self.0.get(&TypeId::of::<S>())?).downcast().ok().map(State)
    }
}
