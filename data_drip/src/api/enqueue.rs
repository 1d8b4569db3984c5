//! Asking for a run: every refusal happens here, before anything is written.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::backend::{Backend, KeySpec};
use crate::backfill::BoxFuture;
use crate::config::LONGEST_SLEEP;
use crate::core::{Core, Link, PATIENCE};
use crate::error::{Error, ErrorKind, FieldError};
use crate::hooks::Event;
use crate::inside::refuse_inside;
use crate::options::{Choice, DEFAULT_QUEUE, Raw, Settings};
use crate::registry::{Definition, Instance, scope_of};
use crate::run::{Backfiller, Run, RunId};
use crate::scope::Scope;
use crate::store::runs::{self, NewRun};
use crate::store::{int, patiently};
use crate::walk::Walk;

/// How long to look for a first row before the scope counts as not known to be empty.
const PROBE: Duration = Duration::from_millis(200);

/// A run that somebody asks for; await it.
///
/// # Errors
/// - [`ErrorKind::NotFound`]: no backfill has that name;
/// - [`ErrorKind::Invalid`]: with [`fields`](Error::fields): bad or unknown options, a batch size or limit below 1, a
///   scope without rows;
/// - [`ErrorKind::Unsupported`]: the table or its key cannot be walked; the message says how to mend it;
/// - [`ErrorKind::Conflict`]: the same run (backfill, options and limit) is active;
/// - [`ErrorKind::Configuration`]: inside a batch or `before_run`, without [`in_tx`](Enqueue::in_tx);
/// - [`ErrorKind::Database`].
#[must_use = "nothing happens before it is awaited"]
pub struct Enqueue<'a, DB: Backend> {
    asked: Asked<'a, DB>,
    conn: Option<&'a mut DB::Connection>,
}

/// What was asked for, apart from where to write it.
struct Asked<'a, DB: Backend> {
    core: &'a Core<DB>,
    name: String,
    options: Result<HashMap<String, Raw>, String>,
    batch_size: Option<u64>,
    sleep: Option<Duration>,
    limit: Option<u64>,
    queue: Option<String>,
    start_at: Option<DateTime<Utc>>,
    by: Option<Backfiller>,
}

impl<'a, DB: Backend> Enqueue<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, name: &str, options: Result<HashMap<String, Raw>, String>) -> Self {
        let asked = Asked {
            core,
            name: name.to_owned(),
            options,
            batch_size: None,
            sleep: None,
            limit: None,
            queue: None,
            start_at: None,
            by: None,
        };
        Self { asked, conn: None }
    }

    /// Elements per batch.
    pub fn batch_size(mut self, elements: u64) -> Self {
        self.asked.batch_size = Some(elements);
        self
    }

    /// Pause of a slot after each batch.
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

    /// Only workers of this queue take it; the backfill's own queue, else `default`.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.asked.queue = Some(queue.into());
        self
    }

    /// Writes the run in the host's transaction: it exists if and only if that commits.
    ///
    /// The scope is not looked at for rows, and no hook tells of its creation: whether and when the host commits is not
    /// known here. Workers find it by polling.
    pub fn in_tx(mut self, conn: &'a mut DB::Connection) -> Self {
        self.conn = Some(conn);
        self
    }
}

/// A request that passed every check.
struct Checked<DB: Backend> {
    new: NewRun,
    scope: Scope<DB>,
    spec: KeySpec,
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
        self.core.signals.plan.notify_waiters();
        Ok(run)
    }

    async fn checked_and_probed(&self, link: &mut Link<DB>) -> Result<Checked<DB>, Error> {
        let checked = self.checked(link).await?;
        self.probe(link, &checked).await?;
        Ok(checked)
    }

    /// Everything that can be refused by looking at the request, the code and the catalogue; all fields at once.
    async fn checked(&self, conn: &mut DB::Connection) -> Result<Checked<DB>, Error> {
        let definition = self.core.definition(&self.name)?;
        let settings = self.core.registry.get(&self.name).map_or(Settings::DEFAULT, |r| r.info.settings);
        let config = &self.core.config;
        let batch_size = self.batch_size.unwrap_or_else(|| config.batch_size_for(&settings));
        let queue = self.queue.clone().unwrap_or_else(|| settings.queue.unwrap_or(DEFAULT_QUEUE).to_owned());

        let mut wrong = Vec::new();
        let instance = match &self.options {
            Ok(raw) => definition.parse(raw).map_err(|fields| wrong.extend(fields)).ok(),
            Err(message) => {
                wrong.push(FieldError::new("base", message.as_str()));
                None
            }
        };
        if batch_size < 1 {
            wrong.push(FieldError::new("batch_size", "must be at least 1"));
        } else if i64::try_from(batch_size).is_err() {
            wrong.push(FieldError::new("batch_size", "is too large"));
        }
        if self.limit == Some(0) {
            wrong.push(FieldError::new("limit", "must be at least 1; leave it out for all rows"));
        }
        let sleep = self.sleep.unwrap_or_else(|| config.sleep_for(&settings));
        if sleep > LONGEST_SLEEP {
            wrong.push(FieldError::new("sleep", "must be at most a day"));
        }
        if queue.trim().is_empty() {
            wrong.push(FieldError::new("queue", "must not be blank"));
        }
        if let Some(instance) = &instance {
            wrong.extend(self.not_offered(&**definition, &**instance, conn).await?);
        }
        let Some(instance) = instance.filter(|_| wrong.is_empty()) else { return Err(Error::invalid(wrong)) };

        let scope =
            scope_of(&*instance).map_err(|failure| Error::new(ErrorKind::Unsupported, failure.full_message()))?;
        let spec = scope.resolve(conn).await?;
        let scope = scope.at(&spec);
        let new = NewRun {
            backfill: self.name.clone(),
            options: instance.values(),
            batch_size,
            sleep,
            limit: self.limit.map(|limit| limit.min(int(u64::MAX).unsigned_abs())),
            queue,
            concurrency: settings.concurrency,
            max_attempts: settings.max_attempts.max(1),
            timeout_ms: settings.timeout_ms,
            backfiller: self.by.clone(),
            start_at: self.start_at,
        };
        Ok(Checked { new, scope, spec })
    }

    /// Values of options whose choices come from the database, and are none of those.
    async fn not_offered(
        &self,
        definition: &dyn Definition<DB>,
        instance: &dyn Instance<DB>,
        conn: &mut DB::Connection,
    ) -> Result<Vec<FieldError>, Error> {
        let mut wrong = Vec::new();
        let Some(registration) = self.core.registry.get(&self.name) else { return Ok(wrong) };
        let values = instance.values();
        for field in registration.info.fields.iter().filter(|field| field.has_choices) {
            let given = values.get(field.name).unwrap_or(&Value::Null);
            let many = given.as_array().map_or(std::slice::from_ref(given), Vec::as_slice);
            let given: Vec<_> = many.iter().filter(|value| !value.is_null()).map(plain).collect();
            if given.is_empty() {
                continue;
            }
            let Some(offered) = choices(definition, field.name, conn).await? else { continue };
            let strange = given.iter().find(|value| !offered.iter().any(|choice| choice.value == **value));
            if let Some(value) = strange {
                let shown = if field.masked { "the value".to_owned() } else { format!("`{value}`") };
                wrong.push(FieldError::new(field.name, format!("{shown} is not among the values to choose from")));
            }
        }
        Ok(wrong)
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

/// A JSON value as a choice spells it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Asks user code for the values of an option.
pub(super) async fn choices<DB: Backend>(
    definition: &dyn Definition<DB>,
    field: &str,
    conn: &mut DB::Connection,
) -> Result<Option<Vec<Choice>>, Error> {
    definition.choices(field, conn).await.map_err(|failure| {
        let message = format!("the values of `{field}` could not be listed: {}", failure.full_message());
        Error::new(ErrorKind::Database, message)
    })
}

/// [`insert`] in a transaction of its own.
async fn insert_alone<DB: Backend>(core: &Core<DB>, new: &NewRun) -> sqlx::Result<Result<RunId, Error>> {
    let _turn = core.turn_in_time().await?;
    let mut conn = core.pool.acquire().await?;
    let mut tx = DB::begin(&mut conn).await?;
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
