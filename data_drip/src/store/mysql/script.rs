//! The engine's static statements in the form that MySQL takes: `?` by position only, and one statement after the other
//! where other dialects return what they write.
//!
//! A file numbers its values (`?1`, `?2`, …), each as often as it likes. It may hold several statements, divided by a
//! semicolon at the end of a line:
//!
//! - A `SELECT` that finds nothing ends the script, as does a step marked `-- unless known` that a unique key refuses.
//! - `?r1` is the first column of the row that the first `SELECT` found, `?s1` that of the second.
//! - `-- when ?r1` before a step leaves it out where that column is NULL.
//! - The script's rows are those of its last `SELECT`, or of the one marked `-- returns`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sea_query::Value;
use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};
use sqlx::{Connection, Row};

use super::{number, query};
use crate::backend::{Backend, Statement};

/// A duplicate key.
const DUPLICATE: u16 = 1062;

/// Where a value of a step comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The statement's value at this place.
    Bound(usize),
    /// A column of the row that this `SELECT` of the script found, both counted from 0.
    Found(usize, usize),
}

#[derive(Debug)]
struct Step {
    sql: &'static str,
    sources: Vec<Source>,
    when: Option<Source>,
    reads: bool,
    returns: bool,
    unless_known: bool,
}

/// A file, read once.
#[derive(Debug)]
pub(super) struct Script(Vec<Step>);

/// The script of a static statement.
pub(super) fn of(sql: &'static str) -> Arc<Script> {
    static READ: RwLock<Option<HashMap<&'static str, Arc<Script>>>> = RwLock::new(None);
    if let Some(known) = READ.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|read| read.get(sql)) {
        return Arc::clone(known);
    }
    let mut read = READ.write().unwrap_or_else(PoisonError::into_inner);
    let script = read.get_or_insert_default().entry(sql).or_insert_with(|| Arc::new(Script::read(sql)));
    Arc::clone(script)
}

impl Script {
    fn read(sql: &str) -> Self {
        let mut steps: Vec<_> = sql.split(";\n").map(Step::read).filter(|step| !step.sql.is_empty()).collect();
        if !steps.iter().any(|step| step.returns)
            && let Some(last) = steps.iter_mut().rfind(|step| step.reads)
        {
            last.returns = true;
        }
        Self(steps)
    }

    /// The only step's statement, when there is but one.
    pub(super) fn single(&self, values: &[Value]) -> Option<Statement> {
        let [step] = self.0.as_slice() else { return None };
        step.statement(values, &[]).ok()
    }

    /// Runs the steps, in a transaction.
    pub(super) async fn run(&self, conn: &mut MySqlConnection, values: &[Value]) -> sqlx::Result<Vec<MySqlRow>> {
        if conn.is_in_transaction() {
            return self.steps(conn, values).await;
        }
        let mut tx = MySql::begin(conn).await?;
        let rows = self.steps(&mut tx, values).await?;
        if rows.is_empty() {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        Ok(rows)
    }

    async fn steps(&self, conn: &mut MySqlConnection, values: &[Value]) -> sqlx::Result<Vec<MySqlRow>> {
        let (mut found, mut returned) = (Vec::new(), Vec::new());
        for step in &self.0 {
            if let Some(Source::Found(select, column)) = step.when
                && at(&found, select, column)? == Value::BigInt(None)
            {
                continue;
            }
            let statement = step.statement(values, &found)?;
            if !step.reads {
                match query(statement).execute(&mut *conn).await {
                    Err(error) if step.unless_known && number(&error) == Some(DUPLICATE) => return Ok(Vec::new()),
                    outcome => outcome?,
                };
                continue;
            }
            let rows = query(statement).fetch_all(&mut *conn).await?;
            let Some(first) = rows.first() else { return Ok(Vec::new()) };
            found.push((0..first.len()).map(|column| MySql::int(first, column).ok().flatten()).collect());
            if step.returns {
                returned = rows;
            }
        }
        Ok(returned)
    }
}

/// What the script's `SELECT`s found: the whole numbers of their first rows.
type Found = Vec<Option<i64>>;

fn at(found: &[Found], select: usize, column: usize) -> sqlx::Result<Value> {
    let value = found.get(select).and_then(|row| row.get(column));
    value.map(|&number| Value::BigInt(number)).ok_or_else(|| missing("a column"))
}

fn missing(what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!("a statement of the engine refers to {what} that is not there"))
}

impl Step {
    fn read(text: &str) -> Self {
        let (mut sql, mut sources, mut when) = (String::new(), Vec::new(), None);
        let (mut returns, mut unless_known) = (false, false);
        for line in text.lines() {
            if let Some((_, comment)) = line.split_once("-- ").filter(|(before, _)| before.trim().is_empty()) {
                returns |= comment == "returns";
                unless_known |= comment == "unless known";
                if let Some(condition) = comment.strip_prefix("when ?") {
                    when = source(condition).map(|(source, _)| source);
                }
                continue;
            }
            if !sql.is_empty() {
                sql.push('\n');
            }
            let mut parts = line.split('?');
            sql.push_str(parts.next().unwrap_or_default());
            for part in parts {
                sql.push('?');
                let rest = source(part).map_or(part, |(source, rest)| {
                    sources.push(source);
                    rest
                });
                sql.push_str(rest);
            }
        }
        let sql = sql.trim();
        let reads = sql.starts_with("SELECT");
        // As many as there are files.
        Self { sql: String::leak(sql.to_owned()), sources, when, reads, returns, unless_known }
    }

    fn statement(&self, values: &[Value], found: &[Found]) -> sqlx::Result<Statement> {
        let value = |source: &Source| match *source {
            Source::Bound(place) => values.get(place).cloned().ok_or_else(|| missing("a value")),
            Source::Found(select, column) => at(found, select, column),
        };
        let values = self.sources.iter().map(value).collect::<sqlx::Result<_>>()?;
        Ok(Statement { sql: self.sql.into(), values })
    }
}

/// Reads `1`, `r1` or `s1`, and what follows it.
fn source(text: &str) -> Option<(Source, &str)> {
    let (select, digits) = match text.strip_prefix('r') {
        Some(rest) => (Some(0), rest),
        None => text.strip_prefix('s').map_or((None, text), |rest| (Some(1), rest)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let place = digits[..end].parse::<usize>().ok()?.checked_sub(1)?;
    let source = select.map_or(Source::Bound(place), |select| Source::Found(select, place));
    Some((source, &digits[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_values_are_put_where_they_are_used() {
        let script = Script::read("-- Is it? ?9\nUPDATE t SET a = ?2, b = ?1\nWHERE id = ?2 AND c = ?10");
        let [step] = script.0.as_slice() else { panic!("{script:?}") };
        assert_eq!(step.sql, "UPDATE t SET a = ?, b = ?\nWHERE id = ? AND c = ?");
        assert_eq!(step.sources, [1, 0, 1, 9].map(Source::Bound));
        assert!(!step.reads);
    }

    #[test]
    fn a_file_of_several_statements_says_what_it_returns() {
        let script = Script::read("-- returns\nSELECT ?1;\n\n-- when ?r2\nSELECT ?r1;\n\nUPDATE t SET a = ?s1\n");
        let [first, second, third] = script.0.as_slice() else { panic!("{script:?}") };
        assert!(first.returns && !second.returns && !third.returns);
        assert_eq!((second.when, second.sources.as_slice()), (Some(Source::Found(0, 1)), &[Source::Found(0, 0)][..]));
        assert_eq!(third.sources, [Source::Found(1, 0)]);
        let known = Script::read("-- unless known\nINSERT INTO t VALUES (1);\n\nINSERT INTO u VALUES (1)");
        assert_eq!(known.0.iter().map(|step| step.unless_known).collect::<Vec<_>>(), [true, false]);
        let last = Script::read("SELECT 1;\nSELECT 2;\nUPDATE t SET a = 1");
        assert_eq!(last.0.iter().map(|step| step.returns).collect::<Vec<_>>(), [false, true, false]);
    }
}
