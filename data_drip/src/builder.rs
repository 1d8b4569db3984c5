//! Setting up: what the host gives, and the checks before anything runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Pool;

use crate::api::DataDrip;
use crate::backend::Backend;
use crate::backfill::{Backfill, Hook, States};
use crate::config::{Config, Environment, LONGEST_SLEEP};
use crate::core::{Core, Signals};
use crate::error::{Error, ErrorKind};
use crate::executor::check_pool;
use crate::hooks::{self, AnyHandler, Handler, Lookup};
use crate::registry::{Registration, Registry, linked};
use crate::store::charts::Charts;
use crate::store::migrate::Migrate;
use crate::store::tallies::Tallies;

/// Sets a [`DataDrip`] up. Every setting has a default that suits a first start.
#[must_use = "nothing happens before `build().await`"]
pub struct Builder<DB: Backend> {
    pool: Pool<DB>,
    config: Config,
    states: States,
    given: Vec<Registration>,
    only_given: bool,
    require: bool,
    handler: Option<Arc<dyn AnyHandler>>,
    environment: bool,
}

impl<DB: Backend> Builder<DB> {
    pub(crate) fn new(pool: Pool<DB>) -> Self {
        Self {
            pool,
            config: Config::default(),
            states: States::default(),
            given: Vec::new(),
            only_given: false,
            require: false,
            handler: None,
            environment: false,
        }
    }

    /// Gives backfills a value of the application: what they ask for with a `State<S>` argument. One of each type.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.states.insert(value);
        self
    }

    /// Registers a backfill by its type, whether or not the linker has collected it: it collects nothing from a crate that
    /// the program does not name.
    pub fn with<T: Backfill>(mut self) -> Self {
        self.given.push(Registration::of::<T>());
        self
    }

    /// Makes an empty registry an error at start-up instead of a warning.
    pub fn require_backfills(mut self) -> Self {
        self.require = true;
        self
    }

    /// How many batches this process works on at once; 1. SQLite has one writer: there it must be 1. Not a run's
    /// `concurrency`, which bounds its batches over all processes.
    pub fn slots(mut self, slots: usize) -> Self {
        self.config.slots = slots;
        self
    }

    /// Elements per batch where neither the run, the environment nor the backfill says; 1,000. At least 1.
    pub fn batch_size(mut self, elements: u64) -> Self {
        self.config.batch_size = elements;
        self
    }

    /// Pause of a slot after each batch where neither the run, the environment nor the backfill says; none. At most a day.
    pub fn sleep(mut self, pause: Duration) -> Self {
        self.config.sleep = pause;
        self
    }

    /// Works on runs of these queues only; without it, or with none, on those of every queue.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.config.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// How often an idle process looks for work of other processes; one second. More seldom while PostgreSQL announces work.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.config.poll_interval = interval;
        self
    }

    /// How long a silent worker keeps its batches; 30 seconds. From 100 ms to 24 hours; it is renewed three times as often.
    ///
    /// On PostgreSQL, MariaDB and MySQL the server ends the transaction of a batch whose code says nothing to it for two
    /// thirds of this: raise it where code has to wait longer.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long a shutdown waits for batches in flight before it rolls them back; 30 seconds.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// Lets the executor use the host's pool instead of opening one of its own on the same options.
    ///
    /// Needed for databases in memory, and where connections are set up by the pool's `after_connect`. Batches then
    /// compete with the application for connections, one at a time.
    pub fn share_pool(mut self) -> Self {
        self.config.share_pool = true;
        self
    }

    /// Makes previews show counts, keys and SQL, but no rows: for tables whose content is nobody's business.
    pub fn without_samples(mut self) -> Self {
        self.config.samples = false;
        self
    }

    /// Is told about changes of status, where the backfill has no hook of that name itself. What it is not told:
    /// see [`Handler`].
    pub fn handler(mut self, handler: impl Handler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// When DataDrip's own tables are created and changed; at `build()`.
    pub fn migrate(mut self, migrate: Migrate) -> Self {
        self.config.migrate = migrate;
        self
    }

    /// Reads `DATA_DRIP_CONCURRENCY`, `DATA_DRIP_BATCH_SIZE`, `DATA_DRIP_SLEEP`, `DATA_DRIP_QUEUES` and
    /// `DATA_DRIP_POLL_INTERVAL`. A bad value is an error of `build()`.
    ///
    /// Each wins over the builder: the first is the number of [`slots`](Builder::slots). Batch size and pause win over
    /// `#[backfill(…)]` as well, for runs that are asked for in this process; what is said for a run itself wins over them.
    pub fn from_env(mut self) -> Self {
        self.environment = true;
        self
    }

    /// Leaves out what the linker collected: for tests of one backfill.
    #[cfg(feature = "testing")]
    pub(crate) fn only_given(mut self) -> Self {
        self.only_given = true;
        self
    }

    /// Checks the registry and the settings, and brings DataDrip's tables up to date.
    ///
    /// # Errors
    /// - [`ErrorKind::Configuration`]:
    ///   - two backfills of one name, a backfill for another database, a state that was not given, a bad setting or variable,
    ///     none linked in with [`require_backfills`](Builder::require_backfills), tables that are missing with
    ///     [`Migrate::Check`];
    ///   - SQLite: a database in memory without [`share_pool`](Builder::share_pool);
    ///   - PostgreSQL: a server older than 12, a standby, a database whose encoding is not UTF8, a pooler that loses prepared
    ///     statements;
    ///   - MariaDB older than 10.6, MySQL older than 8.0; a binary log by statement; a pool whose connections are in no
    ///     database, have `autocommit` off, or another character set than `utf8mb4`;
    /// - [`ErrorKind::Version`]: the tables need a newer version of this crate, or they are older and [`Migrate::Check`] leaves
    ///   them so;
    /// - [`ErrorKind::Database`]: it did not answer, or refused the migration.
    pub async fn build(mut self) -> Result<DataDrip<DB>, Error> {
        if self.environment {
            self.config.apply(Environment::read(|name| std::env::var(name).ok())?);
        }
        check_config::<DB>(&self.config)?;
        check_pool::<DB>(&self.pool, self.config.share_pool).await?;
        let linked = if self.only_given { Vec::new() } else { linked() };
        let registry = Registry::new(linked.into_iter().chain(self.given))?;
        if registry.is_empty() {
            if self.require {
                return Err(Error::new(ErrorKind::Configuration, crate::registry::NOTHING_LINKED));
            }
            tracing::warn!("{}", crate::registry::NOTHING_LINKED);
        }
        let definitions = definitions(&registry, &self.states)?;
        DB::migrate(&self.pool, self.config.migrate).await?;

        let (runs, batches) = listeners(&registry, self.handler.is_some());
        let (hooks, inbox) = hooks::channel(runs, batches);
        let one_writer = DB::MAX_SLOTS == Some(1) && !self.config.share_pool;
        let core = Arc::new(Core {
            turn: one_writer.then(|| tokio::sync::Mutex::new(())),
            pool: self.pool,
            config: self.config,
            registry,
            definitions,
            states: self.states,
            hooks,
            signals: Signals::default(),
            tallies: Tallies::default(),
            charts: Charts::default(),
        });
        let lookup: Arc<dyn Lookup<DB>> = Arc::clone(&core) as _;
        // It ends with the last clone of the core, which holds the entrance.
        tokio::spawn(hooks::dispatch(inbox, Arc::downgrade(&lookup), self.handler));
        let drip = DataDrip::new(core);
        warn_about_runs_without_code(&drip).await;
        Ok(drip)
    }
}

fn check_config<DB: Backend>(config: &Config) -> Result<(), Error> {
    let wrong = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    if config.slots == 0 {
        return wrong("`.slots(0)` works on nothing: use at least 1".into());
    }
    if let Some(most) = DB::MAX_SLOTS.filter(|&most| config.slots > most) {
        return wrong(format!("{}, but {} has one writer at a time: use {most}", config.slots_by(), DB::LABEL));
    }
    if config.batch_size == 0 {
        return wrong("`.batch_size(0)` makes batches of nothing: use at least 1".into());
    }
    if config.sleep > LONGEST_SLEEP {
        let unit = "more than a day between two batches is a mistake in the unit: use at most 24 hours";
        return wrong(format!("`.sleep({:?})`: {unit}", config.sleep));
    }
    if config.poll_interval.is_zero() {
        return wrong("`.poll_interval(0)` would ask the database without a pause: use more, such as a second".into());
    }
    if config.lease < Duration::from_millis(100) {
        let short = "is too short to be renewed in time: use at least 100 ms, or better seconds";
        return wrong(format!("`.lease({:?})` {short}", config.lease));
    }
    if config.lease > Duration::from_hours(24) {
        let long = "would keep a dead worker's batches for days: use at most 24 hours";
        return wrong(format!("`.lease({:?})` {long}", config.lease));
    }
    Ok(())
}

type Definitions<DB> = HashMap<&'static str, Arc<dyn crate::registry::Definition<DB>>>;

/// The code of each backfill, for this database; all mistakes at once.
fn definitions<DB: Backend>(registry: &Registry, states: &States) -> Result<Definitions<DB>, Error> {
    let mut definitions = HashMap::new();
    let mut wrong = Vec::new();
    for registration in registry.iter() {
        let info = &registration.info;
        match registration.definition::<DB>() {
            Some(definition) => drop(definitions.insert(info.name, definition)),
            None => wrong.push(format!(
                "backfill `{}` ({}) is written for {}, but the pool is {}: let its `scope` return that database's `Scope`, or \
                 keep its crate out of this program",
                info.name,
                info.type_name,
                info.database,
                DB::LABEL
            )),
        }
        for state in info.states.iter().filter(|&&state| !states.has(state)) {
            wrong.push(format!(
                "backfill `{}` ({}) asks for `State<{}>`: give it to the builder with `.state(…)`",
                info.name, info.type_name, state.name
            ));
        }
        let settings = &info.settings;
        let zeros = [
            ("batch_size", settings.batch_size),
            ("timeout", settings.timeout_ms),
            ("concurrency", settings.concurrency.map(u64::from)),
        ];
        for (what, _) in zeros.iter().filter(|(_, value)| *value == Some(0)) {
            let mend = "leave it out, or say at least 1";
            wrong.push(format!("backfill `{}` ({}) has `{what}` 0 in its settings: {mend}", info.name, info.type_name));
        }
    }
    if wrong.is_empty() { Ok(definitions) } else { Err(Error::new(ErrorKind::Configuration, wrong.join("; "))) }
}

/// Whether anybody listens to changes of runs, and of batches.
fn listeners(registry: &Registry, global: bool) -> (bool, bool) {
    const RUNS: [Hook; 7] = [
        Hook::RunPending,
        Hook::RunEnqueued,
        Hook::RunRunning,
        Hook::RunPaused,
        Hook::RunCompleted,
        Hook::RunFailed,
        Hook::RunStopped,
    ];
    let hooks = || registry.iter().flat_map(|registration| registration.info.hooks);
    (global || hooks().any(|hook| RUNS.contains(hook)), global || hooks().any(|hook| !RUNS.contains(hook)))
}

async fn warn_about_runs_without_code<DB: Backend>(drip: &DataDrip<DB>) {
    match drip.names_without_code().await {
        Ok(names) if names.is_empty() => {}
        Ok(names) => tracing::warn!(?names, "these backfills have runs in the database but no code in this binary"),
        Err(error) => tracing::warn!(%error, "could not look for runs without code"),
    }
}
