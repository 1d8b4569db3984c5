//! What SQLite would do with a statement, in words; and rows as people read them.

use sea_query::{Alias, Expr, Value};
use sqlx::sqlite::SqliteConnection;

use super::catalogue::plan;
use crate::backend::{Explanation, Statement};
use crate::error::Error;

/// Text as it is, numbers as SQLite prints them, bytes as `x'…'`; cut before it is read.
pub(super) fn shown(column: &str, most: u32) -> Expr {
    let col = || Expr::col(Alias::new(column));
    let most = || Expr::val(Value::from(i64::from(most)));
    Expr::cust_with_exprs(
        "CASE typeof(?) WHEN 'blob' THEN 'x''' || substr(hex(substr(?, 1, ?)), 1, ?) || '''' \
         ELSE substr(CAST(? AS TEXT), 1, ?) END",
        [col(), col(), most(), most(), col(), most()],
    )
}

pub(super) async fn explain(conn: &mut SqliteConnection, statement: Statement) -> Result<Explanation, Error> {
    let Statement { sql, values } = statement;
    let lines = plan(conn, Statement { sql: format!("EXPLAIN QUERY PLAN {sql}").into(), values }).await?;
    Ok(explanation(lines))
}

fn explanation(lines: Vec<String>) -> Explanation {
    let mut explanation = Explanation::default();
    for line in &lines {
        let step = Step::of(line);
        explanation.full_scan |= matches!(step, Step::Scan { .. });
        if let Step::Scan { index: Some(index), .. } | Step::Search { index: Some(index), .. } = step {
            explanation.indexes.push(index.to_owned());
        }
        explanation.words.push(step.words());
    }
    explanation.lines = lines;
    explanation
}

/// One line of `EXPLAIN QUERY PLAN`: <https://sqlite.org/eqp.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'l> {
    /// Row after row, all of them.
    Scan {
        table: &'l str,
        index: Option<&'l str>,
    },
    /// By an index, or by the table's own tree; with the terms that it is entered by.
    Search {
        table: &'l str,
        index: Option<&'l str>,
        terms: &'l str,
    },
    /// What was found is sorted.
    Sort,
    Other(&'l str),
}

impl<'l> Step<'l> {
    fn of(line: &'l str) -> Self {
        if let Some(rest) = line.strip_prefix("SEARCH ") {
            let (rest, terms) = rest.split_once(" (").unwrap_or((rest, ""));
            let (table, index) = by(rest);
            return Self::Search { table, index, terms: terms.trim_end_matches(')') };
        }
        if let Some(rest) = line.strip_prefix("SCAN ") {
            let (table, index) = by(rest);
            return Self::Scan { table, index };
        }
        if line.starts_with("USE TEMP B-TREE") { Self::Sort } else { Self::Other(line) }
    }

    fn words(self) -> String {
        match self {
            Self::Scan { table, index: None } => format!("Reads the whole table `{table}`, row by row."),
            Self::Scan { table, index: Some(index) } => format!("Reads the whole index `{index}` of `{table}`."),
            Self::Search { table, index: None, terms } => {
                format!("Reads only a part of `{table}`, found by its primary key ({terms}).")
            }
            Self::Search { table, index: Some(index), terms } => {
                format!("Reads only a part of `{table}`, found by the index `{index}` ({terms}).")
            }
            Self::Sort => "Sorts all that it found before the first row comes out.".to_owned(),
            Self::Other(line) => format!("{line}."),
        }
    }
}

/// The table, and the index that it is read by: `t USING [AUTOMATIC] [COVERING] INDEX i`, `t USING INTEGER PRIMARY KEY`.
fn by(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once(" USING ") {
        Some((table, way)) => (table, way.split_once("INDEX ").map(|(_, index)| index)),
        None => (rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::store::sqlite::testing::File;

    async fn explained(sql: &'static str) -> Explanation {
        let (_file, mut conn) = File::with(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, role TEXT, age INTEGER, name TEXT);
             CREATE INDEX people_by_role ON people (role)",
        )
        .await;
        sqlx::Sqlite::explain(&mut conn, Statement::of(sql)).await.unwrap()
    }

    #[tokio::test]
    async fn a_plan_says_which_index_it_uses_and_when_it_reads_everything() {
        let scan = explained("SELECT * FROM people WHERE age > 3 ORDER BY name").await;
        assert!(scan.full_scan);
        assert_eq!(scan.words[0], "Reads the whole table `people`, row by row.");
        assert!(scan.words[1].starts_with("Sorts all"), "{scan:?}");

        let by_index = explained("SELECT * FROM people WHERE role = 'x'").await;
        assert!(!by_index.full_scan);
        assert_eq!(by_index.indexes, ["people_by_role"]);
        assert_eq!(by_index.words, ["Reads only a part of `people`, found by the index `people_by_role` (role=?)."]);

        let by_key = explained("SELECT * FROM people WHERE id > 3 AND id <= 9 ORDER BY id").await;
        assert!(!by_key.full_scan);
        assert_eq!(by_key.words, ["Reads only a part of `people`, found by its primary key (rowid>? AND rowid<?)."]);

        let covering = explained("SELECT role FROM people ORDER BY role").await;
        assert!(covering.full_scan);
        assert_eq!(covering.words, ["Reads the whole index `people_by_role` of `people`."]);
    }
}
