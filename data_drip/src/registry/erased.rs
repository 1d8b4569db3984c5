//! A backfill behind `dyn`: the engine is generic over the database only, and not compiled once per backfill.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::backend::Backend;
use crate::backfill::{Backfill, BoxFuture, Context, Hook};
use crate::batch::Batch;
use crate::error::{Failure, FieldError, Result};
use crate::options::{Choice, Field, Raw, Values, parse_with};
use crate::panics::caught_now;
use crate::run::{Run, RunBatch};
use crate::scope::Scope;

/// A backfill without its options.
pub(crate) trait Definition<DB: Backend>: Send + Sync {
    /// Builds an instance: unknown names are refused, errors come per field.
    fn parse(&self, raw: &HashMap<String, Raw>) -> Result<Arc<dyn Instance<DB>>, Vec<FieldError>>;

    /// The values to choose from for `field`, `None` when any will do.
    fn choices<'c>(
        &self,
        field: &'c str,
        conn: &'c mut DB::Connection,
    ) -> BoxFuture<'c, Result<Option<Vec<Choice>>, Failure>>;
}

/// A backfill with its options: what a run runs.
pub(crate) trait Instance<DB: Backend>: Send + Sync {
    /// The options, canonical.
    fn values(&self) -> Values;

    /// Which rows.
    fn scope(&self) -> Scope<DB>;

    /// Processes one batch.
    fn process<'a>(&'a self, batch: &'a mut Batch<'_, DB>, context: &'a Context) -> BoxFuture<'a, Result>;

    /// Runs before planning; an error refuses the run.
    fn before_run<'a>(
        &'a self,
        run: &'a Run,
        conn: &'a mut DB::Connection,
        context: &'a Context,
    ) -> BoxFuture<'a, Result>;

    /// Answers a hook.
    fn on_hook<'a>(
        &'a self,
        hook: Hook,
        run: &'a Run,
        batch: Option<&'a RunBatch>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result>;
}

/// The scope of a backfill; it is user code, and may panic.
pub(crate) fn scope_of<DB: Backend>(instance: &dyn Instance<DB>) -> crate::Result<Scope<DB>> {
    caught_now("`scope`", || instance.scope())
}

/// An instance built in code. Its bounds are not checked yet: parse its [`values`](Instance::values) for that.
pub(crate) fn instance<T: Backfill>(backfill: T) -> Arc<dyn Instance<T::Database>> {
    Arc::new(Erased(backfill))
}

pub(super) fn definition<T: Backfill>(fields: Vec<Field>) -> Arc<dyn Definition<T::Database>> {
    Arc::new(Defined::<T> { fields, backfill: PhantomData })
}

struct Defined<T> {
    /// Kept, since building them evaluates the defaults' expressions.
    fields: Vec<Field>,
    backfill: PhantomData<fn() -> T>,
}

impl<T: Backfill> Definition<T::Database> for Defined<T> {
    fn parse(&self, raw: &HashMap<String, Raw>) -> Result<Arc<dyn Instance<T::Database>>, Vec<FieldError>> {
        parse_with::<T>(&self.fields, raw).map(instance)
    }

    fn choices<'c>(
        &self,
        field: &'c str,
        conn: &'c mut <T::Database as sqlx::Database>::Connection,
    ) -> BoxFuture<'c, Result<Option<Vec<Choice>>, Failure>> {
        T::choices(field, conn)
    }
}

struct Erased<T>(T);

impl<T: Backfill> Instance<T::Database> for Erased<T> {
    fn values(&self) -> Values {
        self.0.values()
    }

    fn scope(&self) -> Scope<T::Database> {
        self.0.scope()
    }

    fn process<'a>(&'a self, batch: &'a mut Batch<'_, T::Database>, context: &'a Context) -> BoxFuture<'a, Result> {
        Box::pin(self.0.process(batch, context))
    }

    fn before_run<'a>(
        &'a self,
        run: &'a Run,
        conn: &'a mut <T::Database as sqlx::Database>::Connection,
        context: &'a Context,
    ) -> BoxFuture<'a, Result> {
        Box::pin(self.0.before_run(run, conn, context))
    }

    fn on_hook<'a>(
        &'a self,
        hook: Hook,
        run: &'a Run,
        batch: Option<&'a RunBatch>,
        context: &'a Context,
    ) -> BoxFuture<'a, Result> {
        Box::pin(self.0.on_hook(hook, run, batch, context))
    }
}
