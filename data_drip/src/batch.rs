//! One batch in the hands of user code.

mod write;

use sea_query::{Alias, Asterisk, Expr, Func, Order, Query, SelectStatement};

pub use self::write::{DeleteAll, SqlExpr, UpdateAll};
use crate::backend::{Backend, KeySpec, Statement};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyRange};
use crate::run::{Run, RunBatch};
use crate::scope::Scope;
use crate::walk::{in_range, key_at};

/// One batch, inside its transaction.
///
/// Its helpers work on the rows of the batch: those of its range of keys that match the scope. As the first write can
/// take rows out of the scope, [`keys`](Batch::keys), [`rows`](Batch::rows) and [`len`](Batch::len) lock the rows and
/// *pin* their keys, and every helper after them works on the pinned rows. Without a pin a batch has one
/// writing helper; a second one is an error that says so.
pub struct Batch<'t, DB: Backend> {
    conn: &'t mut DB::Connection,
    scope: &'t Scope<DB>,
    spec: &'t KeySpec,
    run: &'t Run,
    info: &'t RunBatch,
    limit: Option<u64>,
    lock: bool,
    pinned: Option<Vec<Key>>,
    /// Rows written by an unpinned helper.
    affected: Option<u64>,
}

/// What the engine makes a batch of.
pub(crate) struct BatchParts<'t, DB: Backend> {
    /// In the batch's transaction.
    pub(crate) conn: &'t mut DB::Connection,
    pub(crate) scope: &'t Scope<DB>,
    pub(crate) spec: &'t KeySpec,
    pub(crate) run: &'t Run,
    pub(crate) info: &'t RunBatch,
    /// Never more rows than this, for a run that has a limit.
    pub(crate) limit: Option<u64>,
    /// Whether rows are locked when they are pinned.
    pub(crate) lock: bool,
}

/// A row of the batch with its key.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Element<R> {
    pub key: Key,
    pub row: R,
}

/// What a row of a batch can be read into: any `sqlx::FromRow` of the backfill's database.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row of this backfill's database",
    label = "not a row type",
    note = "a row is a struct with `#[derive(sqlx::FromRow)]`, or a tuple: `(i64, String)`, `(i64,)`"
)]
pub trait FromBatchRow<DB: Backend>: for<'r> sqlx::FromRow<'r, DB::Row> + Send + Sync + Unpin + 'static {}

// Else rustc looks through this impl and reports the `FromRow` instead.
#[diagnostic::do_not_recommend]
impl<DB: Backend, R> FromBatchRow<DB> for R where R: for<'r> sqlx::FromRow<'r, DB::Row> + Send + Sync + Unpin + 'static {}

impl<'t, DB: Backend> Batch<'t, DB> {
    pub(crate) fn new(parts: BatchParts<'t, DB>) -> Self {
        let BatchParts { conn, scope, spec, run, info, limit, lock } = parts;
        Self { conn, scope, spec, run, info, limit, lock, pinned: None, affected: None }
    }

    /// The connection of the batch's transaction: what plain sqlx takes.
    ///
    /// Savepoints (`conn.begin()`) are fine; ending the batch's transaction fails the batch.
    pub fn conn(&mut self) -> &mut DB::Connection {
        self.conn
    }

    /// The run: who and which options. Its status and counts are those of the first batch of the run in this process; what
    /// they are now, [`DataDrip::run`](crate::api::DataDrip::run) tells.
    pub fn run(&self) -> &Run {
        self.run
    }

    /// The batch: its place, its range of keys, its planned size.
    pub fn info(&self) -> &RunBatch {
        self.info
    }

    /// Which attempt at this batch it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.info.attempts.saturating_add(1)
    }

    /// The keys of the batch's rows in order, locked and pinned.
    ///
    /// # Errors
    /// After an unpinned write of another helper, when a key cannot be named, or from the database.
    pub async fn keys(&mut self) -> Result<Vec<Key>, Error> {
        self.pin().await.map(<[Key]>::to_vec)
    }

    /// How many rows the batch has; locks and pins them.
    ///
    /// # Errors
    /// As [`keys`](Batch::keys).
    #[expect(clippy::len_without_is_empty, reason = "a batch is planned around rows, and asking costs a read")]
    pub async fn len(&mut self) -> Result<u64, Error> {
        self.pin().await.map(|keys| keys.len() as u64)
    }

    /// The batch's rows in the order of their keys, as they are now; locks and pins them.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// async fn process(batch: &mut data_drip::batch::Batch<'_, sqlx::Sqlite>) -> data_drip::Result {
    ///     for (id, name) in batch.rows::<(i64, String)>().await? {
    ///         println!("{id}: {name}");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`keys`](Batch::keys), and when a row does not fit `R`.
    pub async fn rows<R: FromBatchRow<DB>>(&mut self) -> Result<Vec<R>, Error> {
        Ok(self.elements::<R>().await?.into_iter().map(|element| element.row).collect())
    }

    /// The rows with their keys, read, locked and pinned.
    #[doc(hidden)]
    pub async fn elements<R: FromBatchRow<DB>>(&mut self) -> Result<Vec<Element<R>>, Error> {
        let mut elements = Vec::new();
        for mut select in self.selects("rows")? {
            match &self.scope.columns {
                Some(columns) => select.columns(self.scope.qualified(columns)),
                None => select.column(Asterisk),
            };
            // Behind the user's own columns, so that rows of tuples find theirs where they are.
            for i in 0..self.spec.columns.len() {
                select.expr_as(DB::key_text(self.spec, i), Alias::new(format!("data_drip_key_{i}")));
            }
            if self.is_full(elements.len()) {
                break;
            }
            for row in DB::fetch(self.conn, DB::build(&select)).await? {
                let first = sqlx::Row::len(&row).saturating_sub(self.spec.columns.len());
                elements.push(Element { key: key_at::<DB>(self.spec, &row, first)?, row: R::from_row(&row)? });
            }
        }
        if self.pinned.is_none() {
            self.pinned = Some(elements.iter().map(|element| element.key.clone()).collect());
        }
        Ok(elements)
    }

    /// Writes the same values, or values computed by the database, to every row of the batch.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// async fn process(batch: &mut data_drip::batch::Batch<'_, sqlx::Sqlite>) -> data_drip::Result {
    ///     let rows = batch.update_all().set("role", "intern").set_expr("name", "upper(name)").execute().await?;
    ///     println!("{rows} updated");
    ///     Ok(())
    /// }
    /// ```
    pub fn update_all(&mut self) -> UpdateAll<'_, 't, DB> {
        UpdateAll::new(self)
    }

    /// Deletes every row of the batch.
    pub fn delete_all(&mut self) -> DeleteAll<'_, 't, DB> {
        DeleteAll::new(self)
    }

    /// The elements processed, as far as the batch itself knows: its pinned keys, else the rows that its helper
    /// affected.
    pub(crate) fn counted(&self) -> Option<u64> {
        self.pinned.as_ref().map(|keys| keys.len() as u64).or(self.affected)
    }

    async fn pin(&mut self) -> Result<&[Key], Error> {
        if self.pinned.is_none() {
            let mut keys = Vec::new();
            for mut select in self.selects("keys")? {
                if self.is_full(keys.len()) {
                    break;
                }
                select.exprs((0..self.spec.columns.len()).map(|place| DB::key_text(self.spec, place)));
                for row in DB::fetch(self.conn, DB::build(&select)).await? {
                    keys.push(key_at::<DB>(self.spec, &row, 0)?);
                }
            }
            self.pinned = Some(keys);
        }
        Ok(self.pinned.as_deref().unwrap_or_default())
    }

    fn is_full(&self, rows: usize) -> bool {
        self.limit.is_some_and(|limit| rows as u64 >= limit)
    }

    /// `SELECT … FROM table WHERE` the rows of the batch, in order.
    fn selects(&self, helper: &str) -> Result<Vec<SelectStatement>, Error> {
        let first = self.pinned.is_none();
        let select = |conditions: Vec<Expr>| {
            let mut select = Query::select();
            select.from(self.scope.table.to_ref());
            for condition in conditions {
                select.and_where(condition);
            }
            for column in &self.spec.columns {
                select.order_by(Alias::new(column), Order::Asc);
            }
            if first && let Some(limit) = self.limit {
                select.limit(limit);
            }
            if self.lock {
                DB::lock_rows(&mut select);
            }
            select
        };
        let conditions = if self.lock { self.locking(helper)? } else { self.conditions(helper)? };
        Ok(conditions.into_iter().map(select).collect())
    }

    /// As [`conditions`](Self::conditions), for statements that lock what they find.
    fn locking(&self, helper: &str) -> Result<Vec<Vec<Expr>>, Error> {
        match DB::key_before(self.spec, &self.info.range.upto)? {
            Some(before) if self.pinned.is_none() && self.affected.is_none() => self.two_parts(before),
            _ => self.conditions(helper),
        }
    }

    /// What holds the batch's rows, but the one of the greatest key by itself.
    fn two_parts(&self, before: Expr) -> Result<Vec<Vec<Expr>>, Error> {
        let KeyRange { after, upto } = &self.info.range;
        let after = after.as_ref().map(|after| DB::key_after(self.spec, after)).transpose()?;
        let range: Vec<_> = after.into_iter().chain([before]).collect();
        let last = vec![DB::key_in(self.spec, std::slice::from_ref(upto))?];
        let scope = self.scope.condition(self.spec)?;
        Ok([range, last].map(|keys| keys.into_iter().chain(scope.clone()).collect()).into())
    }

    /// What holds exactly the batch's rows: one condition, or one for each part of a long list of pinned keys.
    fn conditions(&self, helper: &str) -> Result<Vec<Vec<Expr>>, Error> {
        /// Left to the values that an update sets.
        const SPARE: usize = 2_000;
        if let Some(keys) = &self.pinned {
            let parts = keys.chunks((DB::MAX_VALUES - SPARE) / self.spec.columns.len());
            return parts.map(|keys| Ok(vec![DB::key_in(self.spec, keys)?])).collect();
        }
        if self.affected.is_some() {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "`{helper}` after a write: that write may have taken rows out of the scope, so that it is no longer \
                     known which ones the batch had. Call `batch.keys().await?` before the first helper, and all of \
                     them work on the same rows"
                ),
            ));
        }
        Ok(vec![matching(self.scope, self.spec, &self.info.range)?])
    }
}

fn matching<DB: Backend>(scope: &Scope<DB>, spec: &KeySpec, range: &KeyRange) -> Result<Vec<Expr>, Error> {
    let mut conditions = in_range::<DB>(spec, range.after.as_ref(), &range.upto)?;
    conditions.extend(scope.condition(spec)?);
    Ok(conditions)
}

/// Reads the rows of a range that match, or all that match, in the order of the key.
pub(crate) fn read_statement<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    range: Option<&KeyRange>,
) -> Result<SelectStatement, Error> {
    let mut select = Query::select();
    select.from(scope.table.to_ref());
    match &scope.columns {
        Some(columns) => select.columns(scope.qualified(columns)),
        None => select.column(Asterisk),
    };
    let conditions = match range {
        Some(range) => matching(scope, spec, range)?,
        None => scope.condition(spec)?.into_iter().collect(),
    };
    for condition in conditions {
        select.and_where(condition);
    }
    for column in &spec.columns {
        select.order_by(Alias::new(column), Order::Asc);
    }
    Ok(select)
}

/// Counts the rows of a range that match.
pub(crate) fn count_statement<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    range: &KeyRange,
) -> Result<Statement, Error> {
    let mut select = Query::select();
    select.expr(Func::count(Expr::cust("*"))).from(scope.table.to_ref());
    for condition in matching(scope, spec, range)? {
        select.and_where(condition);
    }
    Ok(DB::build(&select))
}
