//! Looks at a scope before anything is run over it: never longer than the time that is given.
//!
//! Where the walk has to keep the order of the key, a look need not: what takes too long in that order is tried once
//! more as the optimizer likes.

use std::time::{Duration, Instant};

use sea_query::Order;

use super::Walk;
use super::read::{self, Of, Page, key_at, unsigned};
use crate::backend::{Backend, KeySpec, Statement};
use crate::error::Error;
use crate::key::Key;

/// Rows of the first page when rows are counted page by page.
const FIRST_PAGE: u64 = 1_000;

/// How many rows match, as far as that was found out in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// All of them when `exact`, else at least this many.
    pub(crate) rows: u64,
    pub(crate) exact: bool,
    /// About how many, when they were not all counted.
    pub(crate) about: Option<u64>,
}

impl<DB: Backend> Walk<'_, DB> {
    /// How many rows match up to `upto`: counted in one go, else page by page for as long as `budget` lets.
    pub(crate) async fn look_count(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        upto: &Key,
        budget: Duration,
    ) -> Result<Counted, Error> {
        let free = free(self.spec);
        let statement = read::count(self.scope, &free, None, upto)?;
        let counted = self.reader(conn, session).within(Instant::now() + budget.mul_f64(0.6), statement).await?;
        if let Ok(row) = counted {
            let rows = unsigned(row.map_or(Ok(None), |row| DB::int(&row, 0))?);
            return Ok(Counted { rows, exact: true, about: None });
        }
        let (rows, exact) = self.count_pages(conn, session, upto, Instant::now() + budget.mul_f64(0.2)).await?;
        let about =
            if exact { None } else { Some(self.estimate(conn, session, None, upto, budget.mul_f64(0.1)).await?) };
        Ok(Counted { rows, exact, about: about.map(|about| about.max(rows)) })
    }

    /// Counts from the beginning until `end`; whether that was all.
    async fn count_pages(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        upto: &Key,
        end: Instant,
    ) -> Result<(u64, bool), Error> {
        let mut reader = self.reader(conn, session);
        let (mut counted, mut after, mut size) = (0, None, FIRST_PAGE);
        loop {
            match reader.page(Of::Matching, after.as_ref(), upto, size, Some(end)).await? {
                Page::Rows { last, rows } => {
                    counted += rows;
                    if rows < size {
                        return Ok((counted, true));
                    }
                    after = Some(last);
                }
                Page::Empty => return Ok((counted, true)),
                Page::Struck => return Ok((counted, false)),
            }
            if Instant::now() >= end {
                return Ok((counted, false));
            }
            size = size.saturating_mul(2);
        }
    }

    /// The first or the last key that matches; `None` when it was not found in time, `Some(None)` when nothing matches.
    pub(crate) async fn look_end(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        from: Order,
        moment: Duration,
    ) -> Result<Option<Option<Key>>, Error> {
        let rows = self.look(conn, session, moment, |spec, _| read::end(self.scope, spec, &from)).await?;
        let Some(rows) = rows else { return Ok(None) };
        rows.first().map(|row| key_at::<DB>(self.spec, row, 0)).transpose().map(Some)
    }

    /// A few rows that match, their columns as people read them, cut to `most` characters; `None` when none was found in
    /// time.
    pub(crate) async fn look_rows(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        columns: &[String],
        (limit, most): (u64, u32),
        moment: Duration,
    ) -> Result<Option<Vec<Vec<Option<String>>>>, Error> {
        let statement = |spec: &KeySpec, first| read::shown(self.scope, spec, columns, most, limit, first);
        let Some(rows) = self.look(conn, session, moment, statement).await? else { return Ok(None) };
        let cells = |row: &DB::Row| (0..columns.len()).map(|i| DB::text(row, i)).collect::<sqlx::Result<_>>();
        Ok(Some(rows.iter().map(cells).collect::<sqlx::Result<_>>()?))
    }

    /// In the order of the key first, then in any; `None` when neither came in time.
    async fn look(
        &self,
        conn: &mut DB::Connection,
        session: &DB::Session,
        moment: Duration,
        statement: impl Fn(&KeySpec, bool) -> Result<Statement, Error>,
    ) -> Result<Option<Vec<DB::Row>>, Error> {
        let free = free(self.spec);
        let mut reader = self.reader(conn, session);
        for statement in [statement(self.spec, true)?, statement(&free, false)?] {
            if let Ok(rows) = reader.all_within(Instant::now() + moment, statement).await? {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

/// The same key, and the optimizer left to itself.
fn free(spec: &KeySpec) -> KeySpec {
    KeySpec { by_key_only: false, ..spec.clone() }
}
