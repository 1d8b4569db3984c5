//! Reading the table in key order: never with OFFSET, never all keys, never longer than a budget.
//!
//! First by *filtered reads*: the last key of the next `size` rows that match, batch after batch. Where matches are so
//! rare that such a read strikes its budget, by *strides*: the last key of the next so many rows, whether they match
//! or not, and then filtered reads within it. A batch never spans more than one stride, so that no statement of
//! the batch scans further than a stride either.

mod look;
mod read;

use std::time::{Duration, Instant};

use sea_query::Order;

pub(crate) use self::look::Counted;
#[cfg(feature = "sqlite")]
pub(crate) use self::read::null_key;
use self::read::{Of, Page, Reader, unsigned};
pub(crate) use self::read::{in_range, key_at};
use crate::backend::{Backend, KeySpec};
use crate::error::Error;
use crate::key::{Key, KeyRange};
use crate::run::Total;
use crate::scope::Scope;

/// How long one step may take, and with it any statement of the walk; twice that when several pages at a time were too much.
const BUDGET: Duration = Duration::from_millis(100);
/// Strides that take less grow; those that take twice as long shrink.
const QUICK: Duration = Duration::from_millis(25);
const FIRST_STRIDE: u64 = 10_000;
const LEAST_STRIDE: u64 = 100;
/// Pages that one statement finds at most, where the database can say so; as many that it takes no longer than this.
const MOST_PAGES: usize = 64;
const BRIEF: Duration = Duration::from_millis(10);
/// Rows looked at from each end for an estimate.
const SAMPLE: u64 = 10_000;

/// A scope's table, read in the order of its key.
pub(crate) struct Walk<'s, DB: Backend> {
    scope: &'s Scope<DB>,
    spec: &'s KeySpec,
}

/// What the walk has learned about the table's density and the machine's speed.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    striding: bool,
    stride: u64,
    /// Pages to find by one statement.
    pages: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { striding: false, stride: FIRST_STRIDE, pages: 1 }
    }
}

impl Pace {
    #[cfg(test)]
    pub(crate) fn striding(stride: u64) -> Self {
        Self { striding: true, stride, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn paging(pages: usize) -> Self {
        Self { pages, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn is_striding(&self) -> bool {
        self.striding
    }

    fn took(&mut self, time: Duration) {
        if time < QUICK {
            self.stride = self.stride.saturating_mul(2);
        } else if time > QUICK * 2 {
            self.shrink();
        }
    }

    fn paged(&mut self, time: Duration) {
        if time < BRIEF {
            self.pages = (self.pages * 2).min(MOST_PAGES);
        } else if time > BRIEF * 2 {
            self.pages = (self.pages / 2).max(1);
        }
    }

    fn shrink(&mut self) {
        self.stride = (self.stride / 2).max(LEAST_STRIDE);
    }
}

/// The batches found in one go.
#[derive(Debug)]
pub(crate) struct Step {
    /// Each with the rows seen in it.
    pub(crate) batches: Vec<(KeyRange, u64)>,
    /// Walked up to here.
    pub(crate) cursor: Option<Key>,
    /// The cursor has reached the end.
    pub(crate) done: bool,
}

impl Step {
    fn from(cursor: Option<&Key>) -> Self {
        Self { batches: Vec::new(), cursor: cursor.cloned(), done: false }
    }
}

impl<'s, DB: Backend> Walk<'s, DB> {
    pub(crate) fn new(scope: &'s Scope<DB>, spec: &'s KeySpec) -> Self {
        Self { scope, spec }
    }

    /// The greatest key of the table, unfiltered; `None` for an empty table.
    pub(crate) async fn upper(&self, conn: &mut DB::Connection) -> Result<Option<Key>, Error> {
        let rows = DB::fetch(conn, read::greatest(self.scope, self.spec)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let upper = key_at::<DB>(self.spec, row, 0)?;
        read::refuse_null_beside(self.scope, self.spec, conn, &upper).await?;
        Ok(Some(upper))
    }

    /// Whether any row matches; `None` when that is not known within `budget`.
    pub(crate) async fn any(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        budget: Duration,
    ) -> Result<Option<bool>, Error> {
        let statement = read::any(self.scope)?;
        let row = self.reader(conn, session).within(Instant::now() + budget, statement).await?;
        Ok(row.ok().map(|row| row.is_some()))
    }

    /// The next batches of at most `size` rows each, at most `want` of them, in the keys after `after` up to `upto`.
    ///
    /// Returns early, with what it has, when its budget is used up, but always gets on. The ranges follow each other
    /// without a gap, except for strides in which nothing matches.
    #[expect(clippy::too_many_arguments, reason = "where to read, from where to where, and how much")]
    pub(crate) async fn step(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        pace: &mut Pace,
        after: Option<&Key>,
        upto: &Key,
        size: u64,
        want: usize,
    ) -> Result<Step, Error> {
        let mut step = Step::from(after);
        let mut end = Instant::now() + BUDGET;
        while !pace.striding {
            let mut reads = DB::begin_reads(conn, BUDGET).await?;
            let mut going = Going { reader: self.reader(reads.conn(), session), step, size, want };
            let dense = going.dense(pace, upto, end).await?;
            step = going.step;
            reads.end().await?;
            match dense {
                // One by one they have a budget of their own.
                Dense::SeveralStruck if step.batches.is_empty() => end = Instant::now() + BUDGET,
                Dense::OneStruck if step.batches.is_empty() => pace.striding = true,
                // What was left of the budget was not enough for more; the next step has a whole one.
                Dense::InTime | Dense::SeveralStruck | Dense::OneStruck => return Ok(step),
            }
        }
        let mut going = Going { reader: self.reader(conn, session), step, size, want };
        while going.is_short_of_batches(after, end) {
            if pace.striding {
                going.stride(pace, upto).await?;
            } else if !going.filtered(upto, Some(end)).await? {
                if !going.step.batches.is_empty() {
                    break;
                }
                pace.striding = true;
            }
        }
        Ok(going.step)
    }

    /// How many rows match after `after` up to `upto`: exact when it is counted within `budget`. Else an estimate of how many
    /// match in the whole table, from both ends of that range.
    pub(crate) async fn count(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        after: Option<&Key>,
        upto: &Key,
        budget: Duration,
    ) -> Result<Total, Error> {
        let mut reader = self.reader(conn, session);
        let statement = read::count(self.scope, self.spec, after, upto)?;
        if let Ok(row) = reader.within(Instant::now() + budget.mul_f64(0.75), statement).await? {
            let count = row.map_or(Ok(None), |row| DB::int(&row, 0))?;
            return Ok(Total { count: unsigned(count), exact: true });
        }
        let count = self.estimate(conn, session, after, upto, budget.mul_f64(0.125)).await?;
        Ok(Total { count, exact: false })
    }

    /// About how many rows match: the table's rows by its statistics, times the share of matches at both ends of what is not
    /// planned yet. Each end has `moment` of its own, even when what went before took longer than it was given.
    async fn estimate(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        after: Option<&Key>,
        upto: &Key,
        moment: Duration,
    ) -> Result<u64, Error> {
        let mut reader = self.reader(conn, session);
        let (mut seen, mut matched) = (0, 0);
        for order in [Order::Asc, Order::Desc] {
            let statement = read::sample(self.scope, self.spec, after, upto, &order, SAMPLE)?;
            if let Ok(Some(row)) = reader.within(Instant::now() + moment, statement).await? {
                seen += unsigned(DB::int(&row, 0)?);
                matched += unsigned(DB::int(&row, 1)?);
            }
        }
        let about = DB::rows_about(conn, self.spec).await?.unwrap_or(seen).max(seen);
        let count = u128::from(about) * u128::from(matched) / u128::from(seen.max(1));
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn reader<'r>(&'r self, conn: &'r mut DB::Connection, session: &'r DB::Session) -> Reader<'r, DB> {
        Reader { scope: self.scope, spec: self.spec, conn, session }
    }

    /// What is read, for a look at its plan.
    #[cfg(test)]
    pub(crate) fn statements(
        &self,
        after: Option<&Key>,
        upto: &Key,
        limit: u64,
    ) -> Vec<(&'static str, crate::backend::Statement)> {
        let page = |of| read::page(self.scope, self.spec, of, after, upto, limit).unwrap();
        let mut statements = vec![("filtered read", page(Of::Matching)), ("stride", page(Of::All))];
        if DB::CHAINS_PAGES {
            let pages = read::pages(self.scope, self.spec, after, upto, limit, 3).unwrap();
            statements.push(("filtered reads", pages));
        }
        statements
    }
}

/// How filtered reads that follow each other ended.
enum Dense {
    InTime,
    /// The deadline struck a statement that was to find several pages: each may be quick enough by itself.
    SeveralStruck,
    OneStruck,
}

/// A step being made.
struct Going<'r, DB: Backend> {
    reader: Reader<'r, DB>,
    step: Step,
    size: u64,
    want: usize,
}

impl<DB: Backend> Going<'_, DB> {
    /// Whether to go on: not past the end, except that it always gets on.
    fn is_short_of_batches(&self, after: Option<&Key>, end: Instant) -> bool {
        let in_time = || Instant::now() < end || self.step.cursor.as_ref() == after;
        !self.step.done && self.step.batches.len() < self.want && in_time()
    }

    /// Filtered reads, one after the other, or several at a time where that is quick.
    async fn dense(&mut self, pace: &mut Pace, upto: &Key, end: Instant) -> Result<Dense, Error> {
        let after = self.step.cursor.clone();
        while self.is_short_of_batches(after.as_ref(), end) {
            let begun = Instant::now();
            let pages = if DB::CHAINS_PAGES { pace.pages.min(self.want - self.step.batches.len()) } else { 1 };
            if pages > 1 {
                if !self.chained(upto, pages, end).await? {
                    pace.pages = 1;
                    return Ok(Dense::SeveralStruck);
                }
            } else if !self.filtered(upto, Some(end)).await? {
                return Ok(Dense::OneStruck);
            }
            pace.paged(begun.elapsed());
        }
        Ok(Dense::InTime)
    }

    /// Up to `pages` filtered reads up to `upto` by one statement; `false` when the deadline struck.
    async fn chained(&mut self, upto: &Key, pages: usize, deadline: Instant) -> Result<bool, Error> {
        let pages = self.reader.pages(self.step.cursor.as_ref(), upto, self.size, pages, deadline).await?;
        let Ok(pages) = pages else { return Ok(false) };
        for page in pages {
            self.turn(page, upto).await?;
        }
        Ok(true)
    }

    /// One filtered read up to `upto`; `false` when the deadline struck.
    async fn filtered(&mut self, upto: &Key, deadline: Option<Instant>) -> Result<bool, Error> {
        let page = self.reader.page(Of::Matching, self.step.cursor.as_ref(), upto, self.size, deadline).await?;
        self.turn(page, upto).await
    }

    /// Makes a batch of a page; `false` when the deadline struck.
    async fn turn(&mut self, page: Page, upto: &Key) -> Result<bool, Error> {
        let (last, rows) = match page {
            Page::Struck => return Ok(false),
            Page::Rows { last, rows } if rows >= self.size => (last, rows),
            // The last one goes to the end: rows that come to match before it is processed are processed with it.
            Page::Rows { rows, .. } => (upto.clone(), rows),
            Page::Empty => (upto.clone(), 0),
        };
        self.refuse_null_beside(&last).await?;
        self.step.done = last == *upto;
        let after = self.step.cursor.replace(last.clone());
        if rows > 0 {
            self.step.batches.push((KeyRange { after, upto: last }, rows));
        }
        Ok(true)
    }

    /// One stride: its last key, and the batches in it.
    async fn stride(&mut self, pace: &mut Pace, upto: &Key) -> Result<(), Error> {
        let begun = Instant::now();
        // The least stride has no deadline: the walk has to get on, however slow the machine is.
        let deadline = (pace.stride > LEAST_STRIDE).then(|| begun + BUDGET);
        let end = match self.reader.page(Of::All, self.step.cursor.as_ref(), upto, pace.stride, deadline).await? {
            Page::Rows { last, rows } if rows >= pace.stride => last,
            Page::Rows { .. } | Page::Empty => upto.clone(),
            Page::Struck => {
                pace.shrink();
                return Ok(());
            }
        };
        self.refuse_null_beside(&end).await?;
        let (known, before) = (self.step.batches.len(), self.step.cursor.clone());
        self.step.done = false;
        while !self.step.done && self.step.batches.len() < self.want {
            if !self.filtered(&end, deadline).await? {
                // What was found in this stride is found again in a shorter one.
                self.step.batches.truncate(known);
                self.step.cursor = before;
                pace.shrink();
                return Ok(());
            }
        }
        // Where a whole batch fits into a stride, a filtered read finds it in time.
        pace.striding = !self.step.batches[known..].iter().any(|(_, rows)| *rows >= self.size);
        pace.took(begun.elapsed());
        self.step.done = self.step.done && end == *upto;
        Ok(())
    }

    async fn refuse_null_beside(&mut self, boundary: &Key) -> Result<(), Error> {
        let Reader { scope, spec, conn, .. } = &mut self.reader;
        read::refuse_null_beside(scope, spec, conn, boundary).await
    }
}
