//! What sqlx tells of each statement, collected by a layer.
//!
//! sqlx sends one event for every statement, with its text and its time, from within the span that the statement was
//! asked for in; the engine works on each batch within a span named `batch`. `BEGIN`, `COMMIT` and pings are not told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Every statement so far, by its text and whether a batch asked for it.
#[derive(Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<BTreeMap<Statement, Figures>>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Statement {
    /// Within the span of a batch.
    pub(crate) in_batch: bool,
    pub(crate) sql: String,
}

impl Statement {
    /// What the user's code asks for: the `update_all` of [`AddRole`](crate::backfills::AddRole).
    pub(crate) fn is_users(&self) -> bool {
        self.sql.starts_with("UPDATE \"employees\"")
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) count: u64,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

impl Statements {
    /// Collects from now on, in the whole process.
    pub(crate) fn collect() -> Self {
        let statements = Self::default();
        tracing_subscriber::registry().with(statements.clone()).init();
        statements
    }

    pub(crate) fn all(&self) -> Vec<(Statement, Figures)> {
        self.locked().iter().map(|(statement, figures)| (statement.clone(), *figures)).collect()
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.locked().values().map(|figures| figures.count).sum()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Statement, Figures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        let in_batch = context.event_scope(event).is_some_and(|mut spans| spans.any(|span| span.name() == "batch"));
        let mut statements = self.locked();
        let figures = statements.entry(Statement { in_batch, sql: told.sql() }).or_default();
        figures.count += 1;
        figures.total += told.elapsed;
        figures.longest = figures.longest.max(told.elapsed);
    }
}

/// One event of sqlx.
#[derive(Default)]
struct Told {
    summary: String,
    statement: String,
    elapsed: Duration,
}

impl Told {
    /// The text on one line. Of a short statement there is only the summary.
    fn sql(&self) -> String {
        let text = if self.statement.trim().is_empty() { &self.summary } else { &self.statement };
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::from_secs_f64(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
