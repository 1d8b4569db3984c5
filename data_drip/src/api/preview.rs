//! Before the click: what a run would do, looked at without doing it.

use std::collections::HashMap;
use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use sea_query::Order;
use serde::Serialize;

use crate::api::asked::{Asked, Checked};
use crate::backend::{Backend, Explanation, KeySpec, Session};
use crate::backfill::BoxFuture;
use crate::batch::read_statement;
use crate::core::{Core, Link};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyRange};
use crate::options::{Mask, Raw};
use crate::run::RunId;
use crate::scope::Scope;
use crate::store::runs;
use crate::walk::{Counted, Pace, Walk};

/// How long rows are counted.
const COUNT: Duration = Duration::from_millis(800);
/// How long anything else is looked for, at most twice.
const MOMENT: Duration = Duration::from_millis(200);
/// How long the catalogue and the choices of options may take.
const CHECK: Duration = Duration::from_secs(2);
const ROWS: u64 = 5;
const COLUMNS: usize = 40;
/// Characters of a value.
const CELL: u32 = 120;
/// Characters of a statement: a list of thousands of values helps nobody.
const SQL: usize = 8_000;

/// What a run would do; nothing of it has been done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// The backfill's name.
    pub backfill: String,
    /// The table, with its schema where the scope names one.
    pub table: String,
    /// The columns of the key that the run walks by.
    pub key: Vec<String>,
    /// The rows that match now.
    pub rows: RowCount,
    /// The rows that the run would process: those that match, never more than the limit.
    pub to_process: RowCount,
    /// About how many batches that makes. Sparse scopes are split into more and smaller ones.
    pub batches: u64,
    /// Elements per batch.
    pub batch_size: u64,
    /// The limit that was asked for.
    pub limit: Option<u64>,
    /// The least key that matches; `None` when nothing does, or it was not found in time.
    pub first_key: Option<String>,
    /// The greatest key that matches, likewise. A limited run does not get that far.
    pub last_key: Option<String>,
    /// A few of the rows.
    pub sample: Sample,
    /// The read of the whole scope, as the run walks through it.
    pub scope: PreviewStatement,
    /// The read of one batch.
    pub batch: PreviewStatement,
    /// The same run (backfill, options and limit), if one is active: this one would be refused until it ends.
    pub active_run: Option<RunId>,
}

/// A number of rows, as far as it was found out in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RowCount {
    /// All rows when `exact`; else at least so many.
    pub counted: u64,
    /// Whether all were counted.
    pub exact: bool,
    /// Where not all were counted: about how many, by the table's statistics and a sample of both ends of it.
    pub estimate: Option<u64>,
}

impl RowCount {
    const NONE: Self = Self { counted: 0, exact: true, estimate: None };

    /// The most likely number: exact, estimated, or what was counted.
    pub fn likely(&self) -> u64 {
        self.estimate.unwrap_or(self.counted)
    }

    fn at_most(self, limit: u64) -> Self {
        if self.counted >= limit {
            return Self { counted: limit, exact: true, estimate: None };
        }
        Self { estimate: self.estimate.map(|about| about.min(limit)), ..self }
    }
}

impl From<Counted> for RowCount {
    fn from(Counted { rows, exact, about }: Counted) -> Self {
        Self { counted: rows, exact, estimate: about }
    }
}

/// `26115`, `at least 400000`, `at least 400000, about 1200000`.
impl fmt::Display for RowCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exact, self.estimate) {
            (true, _) => self.counted.fmt(f),
            (false, None) => write!(f, "at least {}", self.counted),
            (false, Some(about)) => write!(f, "at least {}, about {about}", self.counted),
        }
    }
}

/// A few rows of the scope, as people read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sample {
    /// The columns: the scope's own, else the table's, in its order.
    pub columns: Vec<String>,
    /// Columns that are not shown because there are so many.
    pub columns_left_out: usize,
    /// A value for each column, `None` for NULL. Long ones are cut and end in `…`; those that hold a masked option's
    /// value hold `•••` instead.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether rows were found in time; not where the builder says `without_samples`.
    pub looked: bool,
}

/// A statement and how the database would go about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviewStatement {
    /// With its values in it; with placeholders instead where the backfill has masked options.
    pub sql: String,
    /// The plan; `None` when the database did not say in time.
    pub plan: Option<Explanation>,
}

/// A preview being asked for; await it.
///
/// # Errors
/// What [`Enqueue`](crate::api::Enqueue) refuses is refused here, with the same fields, except for an empty scope and an
/// identical active run: a preview tells of those. [`ErrorKind::Database`] as well when the checks take more than two seconds.
#[must_use = "nothing happens before it is awaited"]
pub struct Previewing<'a, DB: Backend> {
    asked: Asked<'a, DB>,
}

impl<'a, DB: Backend> Previewing<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, name: &str, options: Result<HashMap<String, Raw>, String>) -> Self {
        Self { asked: Asked::new(core, name, options) }
    }

    /// Elements per batch.
    pub fn batch_size(mut self, elements: u64) -> Self {
        self.asked.batch_size = Some(elements);
        self
    }

    /// Never process more elements than this.
    pub fn limit(mut self, elements: u64) -> Self {
        self.asked.limit = Some(elements);
        self
    }

    async fn look(self) -> Result<Preview, Error> {
        let mut reading = Reading::begin(&self.asked.core.pool).await?;
        let outcome = look(&self.asked, &mut reading).await;
        reading.end().await;
        outcome
    }
}

impl<'a, DB: Backend> IntoFuture for Previewing<'a, DB> {
    type Output = Result<Preview, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.look())
    }
}

/// A connection of the host's that takes no writes. Dropped half-way it is closed: the host must not get it back so.
struct Reading<DB: Backend>(Option<Link<DB>>);

impl<DB: Backend> Reading<DB> {
    async fn begin(pool: &sqlx::Pool<DB>) -> sqlx::Result<Self> {
        let mut reading = Self(Some(Link::acquire(pool).await?));
        DB::read_only(reading.parts()?.0, true).await?;
        Ok(reading)
    }

    fn parts(&mut self) -> sqlx::Result<(&mut DB::Connection, &DB::Session)> {
        // Only `end` takes it.
        self.0.as_mut().map(Link::parts).ok_or(sqlx::Error::PoolClosed)
    }

    async fn end(mut self) {
        let Ok((conn, session)) = self.parts() else { return };
        if session.is_interrupted() {
            return;
        }
        let writes_again = DB::read_only(conn, false).await.is_ok();
        // Otherwise `drop` closes it.
        if writes_again && let Some(link) = self.0.take() {
            link.release().await;
        }
    }
}

impl<DB: Backend> Drop for Reading<DB> {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.discard();
        }
    }
}

async fn look<DB: Backend>(asked: &Asked<'_, DB>, reading: &mut Reading<DB>) -> Result<Preview, Error> {
    let (conn, session) = reading.parts()?;
    let checked = within(session, CHECK, asked.checked(conn)).await?;
    let fields = asked.fields();
    let mask = Mask::of(fields, &checked.new.options);
    let masked = fields.iter().any(|field| field.masked);
    let mut looking = Looking { checked: &checked, conn, session, mask: &mask, masked };
    looking.preview(asked.core.config.samples).await
}

/// `work`, if it is done in time. Otherwise the connection is not used any more: a statement may still run on it.
async fn within<S: Session, T>(
    session: &S,
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        session.interrupt();
        let message = format!("the database did not answer within {time:?}: try again when it has less to do");
        Err(Error::new(ErrorKind::Database, message))
    })
}

/// A look at a scope that passed every check.
struct Looking<'l, DB: Backend> {
    checked: &'l Checked<DB>,
    conn: &'l mut DB::Connection,
    session: &'l DB::Session,
    mask: &'l Mask,
    /// Whether the backfill has masked options at all.
    masked: bool,
}

impl<DB: Backend> Looking<'_, DB> {
    async fn preview(&mut self, samples: bool) -> Result<Preview, Error> {
        let Checked { new, scope, spec, .. } = self.checked;
        let walk = Walk::new(scope, spec);
        let upper = within(self.session, CHECK, walk.upper(self.conn)).await?;
        let rows = match &upper {
            Some(upper) => walk.look_count(self.conn, self.session, upper, COUNT).await?.into(),
            None => RowCount::NONE,
        };
        let to_process = new.limit.map_or(rows, |limit| rows.at_most(limit));
        let first_key = self.end(&walk, Order::Asc).await?;
        let last_key = self.end(&walk, Order::Desc).await?;
        let range = self.one_batch(&walk, upper.as_ref()).await?;
        Ok(Preview {
            backfill: new.backfill.clone(),
            table: scope.table.to_string(),
            key: spec.columns.clone(),
            rows,
            to_process,
            batches: to_process.likely().div_ceil(new.batch_size),
            batch_size: new.batch_size,
            limit: new.limit,
            first_key: first_key.map(|key| self.hidden(&key.to_string())),
            last_key: last_key.map(|key| self.hidden(&key.to_string())),
            sample: self.sample(&walk, samples).await?,
            scope: self.statement(scope, spec, None).await?,
            batch: self.statement(scope, spec, range.as_ref()).await?,
            active_run: within(self.session, MOMENT, self.active()).await?,
        })
    }

    async fn end(&mut self, walk: &Walk<'_, DB>, from: Order) -> Result<Option<Key>, Error> {
        Ok(walk.look_end(self.conn, self.session, from, MOMENT).await?.flatten())
    }

    /// The keys of a batch as the run would make it: the second one, which has two ends, else the first.
    async fn one_batch(&mut self, walk: &Walk<'_, DB>, upper: Option<&Key>) -> Result<Option<KeyRange>, Error> {
        let Some(upper) = upper else { return Ok(None) };
        let new = &self.checked.new;
        let size = new.limit.map_or(new.batch_size, |limit| limit.min(new.batch_size));
        let mut pace = Pace::default();
        let step = walk.step(self.conn, self.session, &mut pace, None, upper, size, 2).await?;
        let found = step.batches.into_iter().next_back().map(|(range, _)| range);
        Ok(found.or_else(|| Some(KeyRange { after: None, upto: upper.clone() })))
    }

    async fn sample(&mut self, walk: &Walk<'_, DB>, wanted: bool) -> Result<Sample, Error> {
        let mut columns = self.checked.scope.columns.clone().unwrap_or_else(|| self.checked.columns.clone());
        let columns_left_out = columns.len().saturating_sub(COLUMNS);
        columns.truncate(COLUMNS);
        let found = if wanted {
            // One character more tells that it was longer.
            walk.look_rows(self.conn, self.session, &columns, (ROWS, CELL + 1), MOMENT).await?
        } else {
            None
        };
        let looked = found.is_some();
        let rows = found.unwrap_or_default();
        let rows = rows.into_iter().map(|row| row.into_iter().map(|cell| cell.map(|cell| self.cell(&cell))).collect());
        Ok(Sample { columns, columns_left_out, rows: rows.collect(), looked })
    }

    fn cell(&self, text: &str) -> String {
        shortened(&self.hidden(text), CELL as usize)
    }

    fn hidden(&self, text: &str) -> String {
        self.mask.hide(text).into_owned()
    }

    async fn statement(
        &mut self,
        scope: &Scope<DB>,
        spec: &KeySpec,
        range: Option<&KeyRange>,
    ) -> Result<PreviewStatement, Error> {
        let select = read_statement(scope, spec, range)?;
        let statement = DB::build(&select);
        // Which of the values came from a masked option, nobody knows.
        let sql = if self.masked { statement.sql.clone().into_owned() } else { DB::spelled(&select) };
        let sql = shortened(&self.hidden(&sql), SQL);
        let explained = within(self.session, MOMENT, DB::explain(self.conn, statement)).await;
        let plan = match explained {
            Ok(plan) => Some(self.hidden_plan(plan)),
            Err(error) => {
                tracing::debug!(%error, "the database did not say how it would go about a statement");
                None
            }
        };
        Ok(PreviewStatement { sql, plan })
    }

    fn hidden_plan(&self, mut plan: Explanation) -> Explanation {
        for text in plan.words.iter_mut().chain(&mut plan.lines) {
            *text = self.hidden(text);
        }
        plan
    }

    async fn active(&mut self) -> Result<Option<RunId>, Error> {
        let new = &self.checked.new;
        Ok(runs::find_active::<DB>(self.conn, new).await?)
    }
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_makes_a_bounded_count_exact_once_it_is_reached() {
        let bounded = RowCount { counted: 400, exact: false, estimate: Some(1_200) };
        assert_eq!(bounded.at_most(300), RowCount { counted: 300, exact: true, estimate: None });
        assert_eq!(bounded.at_most(1_000), RowCount { counted: 400, exact: false, estimate: Some(1_000) });
        assert_eq!(bounded.to_string(), "at least 400, about 1200");
        assert_eq!(RowCount::NONE.to_string(), "0");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shortened("ééé", 2), "éé…");
        assert_eq!(shortened("éé", 2), "éé");
    }
}
