//! The writing helpers of a batch.

use sea_query::{Alias, Expr, Query};

use super::Batch;
use crate::backend::{Backend, Statement};
use crate::error::{Error, ErrorKind};
use crate::scope::{Column, IntoSetting, TableName, Value};

/// An expression of the database: SQL text, a column, or anything made with sea-query.
#[derive(Clone, Debug)]
pub struct SqlExpr(Source);

#[derive(Clone, Debug)]
enum Source {
    Column(Column),
    Expr(Expr),
}

/// SQL as it is written. Only literals: for values, build the expression with sea-query, which binds them.
impl From<&'static str> for SqlExpr {
    fn from(sql: &'static str) -> Self {
        Self(Source::Expr(Expr::cust(sql)))
    }
}

impl From<Column> for SqlExpr {
    fn from(column: Column) -> Self {
        Self(Source::Column(column))
    }
}

impl From<Expr> for SqlExpr {
    fn from(expr: Expr) -> Self {
        Self(Source::Expr(expr))
    }
}

impl SqlExpr {
    fn to_expr(&self, table: &TableName) -> Expr {
        match &self.0 {
            Source::Column(column) => column.to_expr(table),
            Source::Expr(expr) => expr.clone(),
        }
    }
}

/// An update of all rows of a batch, being put together; nothing happens before [`execute`](UpdateAll::execute).
#[must_use = "nothing is written before `.execute().await`"]
pub struct UpdateAll<'b, 't, DB: Backend> {
    batch: &'b mut Batch<'t, DB>,
    sets: Vec<(String, Set)>,
}

enum Set {
    Value(Value),
    Expr(SqlExpr),
}

impl<'b, 't, DB: Backend> UpdateAll<'b, 't, DB> {
    pub(super) fn new(batch: &'b mut Batch<'t, DB>) -> Self {
        Self { batch, sets: Vec::new() }
    }

    /// Sets a column to a value; `None` is NULL.
    pub fn set(mut self, column: impl Into<String>, value: impl IntoSetting) -> Self {
        self.sets.push((column.into(), Set::Value(value.into_setting())));
        self
    }

    /// Sets a column to what the database computes: `"upper(name)"`, another [`Column`], a sea-query expression.
    pub fn set_expr(mut self, column: impl Into<String>, expr: impl Into<SqlExpr>) -> Self {
        self.sets.push((column.into(), Set::Expr(expr.into())));
        self
    }

    /// Writes, and returns how many rows that affected.
    ///
    /// # Errors
    /// When nothing is set or a column of the key is, after an unpinned write of another helper, or from the database.
    pub async fn execute(self) -> Result<u64, Error> {
        let Self { batch, sets } = self;
        check(&sets, &batch.spec.columns)?;
        let table = &batch.scope.table;
        let mut update = Query::update();
        update.table(table.to_ref());
        for (column, set) in &sets {
            let value = match set {
                Set::Value(value) => DB::value(value)?,
                Set::Expr(expr) => expr.to_expr(table),
            };
            update.value(Alias::new(column), value);
        }
        write(batch, "update_all", |conditions| {
            let mut update = update.clone();
            for condition in conditions {
                update.and_where(condition);
            }
            DB::build(&update)
        })
        .await
    }
}

fn check(sets: &[(String, Set)], key: &[String]) -> Result<(), Error> {
    let refused = |message| Err(Error::new(ErrorKind::Configuration, message));
    if sets.is_empty() {
        return refused("`update_all` sets nothing: add `.set(column, value)`".to_owned());
    }
    match sets.iter().find(|(column, _)| key.iter().any(|part| part.eq_ignore_ascii_case(column))) {
        Some((column, _)) => refused(format!(
            "`{column}` belongs to the key that the run walks by: a row whose key changes could be processed twice or \
             not at all. Walk by another key with `.key(..)`"
        )),
        None => Ok(()),
    }
}

/// A deletion of all rows of a batch; nothing happens before [`execute`](DeleteAll::execute).
#[must_use = "nothing is deleted before `.execute().await`"]
pub struct DeleteAll<'b, 't, DB: Backend> {
    batch: &'b mut Batch<'t, DB>,
}

impl<'b, 't, DB: Backend> DeleteAll<'b, 't, DB> {
    pub(super) fn new(batch: &'b mut Batch<'t, DB>) -> Self {
        Self { batch }
    }

    /// Deletes, and returns how many rows that affected.
    ///
    /// # Errors
    /// After an unpinned write of another helper, or from the database.
    pub async fn execute(self) -> Result<u64, Error> {
        let table = self.batch.scope.table.to_ref();
        write(self.batch, "delete_all", |conditions| {
            let mut delete = Query::delete();
            delete.from_table(table.clone());
            for condition in conditions {
                delete.and_where(condition);
            }
            DB::build(&delete)
        })
        .await
    }
}

async fn write<DB: Backend>(
    batch: &mut Batch<'_, DB>,
    helper: &str,
    statement: impl Fn(Vec<Expr>) -> Statement,
) -> Result<u64, Error> {
    if batch.limit.is_some() {
        // A range can hold more rows by now than were planned.
        batch.pin().await?;
    }
    let mut affected = 0;
    let statements: Vec<_> = batch.locking(helper)?.into_iter().map(statement).collect();
    for statement in statements {
        affected += DB::execute(batch.conn, statement).await?;
    }
    if batch.pinned.is_none() {
        batch.affected = Some(affected);
    }
    Ok(affected)
}
