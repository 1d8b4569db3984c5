//! What MySQL or MariaDB would do with a statement, in words; and rows as people read them.

use sea_query::{Alias, Expr, Value};
use sqlx::Row;
use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};

use crate::backend::{Backend, Explanation, Statement};
use crate::error::Error;

/// Text as it is, other types as the server prints them, bytes as `x'…'`; cut on the server. Numbers and times have the
/// character set of bytes as well, but their collation is not that of a column.
pub(super) fn shown(column: &str, most: u32) -> Expr {
    let col = || Expr::col(Alias::new(column));
    let most = || Expr::val(Value::from(i64::from(most)));
    Expr::cust_with_exprs(
        "CASE WHEN CHARSET(?) = 'binary' AND COERCIBILITY(?) = 2 THEN CONCAT('x''', LEFT(HEX(LEFT(?, ?)), ?), '''') \
         ELSE LEFT(CAST(? AS CHAR), ?) END",
        [col(), col(), col(), most(), most(), col(), most()],
    )
}

pub(super) async fn explain(conn: &mut MySqlConnection, statement: Statement) -> Result<Explanation, Error> {
    let Statement { sql, values } = statement;
    // The format by name: which one comes by itself is a setting of MySQL's.
    let explain = Statement { sql: format!("EXPLAIN FORMAT=TRADITIONAL {sql}").into(), values };
    let rows = MySql::fetch(conn, explain).await?;
    let steps = rows.iter().map(Step::of).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(explanation(&steps))
}

fn explanation(steps: &[Step]) -> Explanation {
    let mut explanation = Explanation::default();
    for step in steps {
        explanation.full_scan |= step.is_full_scan();
        explanation.indexes.extend(step.index.clone());
        explanation.words.push(step.words());
        if step.sorts() {
            explanation.words.push("Sorts all that it found before the first row comes out.".to_owned());
        }
        explanation.lines.push(step.line());
    }
    explanation
}

/// A row of `EXPLAIN`: <https://dev.mysql.com/doc/refman/8.4/en/explain-output.html>.
#[derive(Clone, Debug, Default)]
struct Step {
    table: Option<String>,
    /// How the table is read; none where no table is.
    way: Option<String>,
    index: Option<String>,
    extra: String,
}

impl Step {
    fn of(row: &MySqlRow) -> sqlx::Result<Self> {
        let text = |name: &str| row.try_get_unchecked::<Option<String>, _>(name);
        Ok(Self {
            table: text("table")?,
            way: text("type")?,
            index: text("key")?,
            extra: text("Extra")?.unwrap_or_default(),
        })
    }

    fn is_full_scan(&self) -> bool {
        matches!(self.way.as_deref(), Some("ALL" | "index"))
    }

    fn sorts(&self) -> bool {
        self.extra.contains("Using filesort")
    }

    fn words(&self) -> String {
        let (table, index) = (self.table.as_deref().unwrap_or_default(), self.index.as_deref());
        match (self.way.as_deref(), index) {
            (None, _) => format!("{}.", if self.extra.is_empty() { "Reads no table" } else { &self.extra }),
            (Some("ALL"), _) => format!("Reads the whole table `{table}`, row by row."),
            (Some("index"), Some(index)) => format!("Reads the whole index `{index}` of `{table}`."),
            (_, Some("PRIMARY")) => format!("Reads only a part of `{table}`, found by its primary key."),
            (_, Some(index)) => format!("Reads only a part of `{table}`, found by the index `{index}`."),
            (Some(way), None) => format!("Reads `{table}` ({way})."),
        }
    }

    fn line(&self) -> String {
        let index = self.index.as_ref().map(|index| format!("key {index}"));
        let extra = (!self.extra.is_empty()).then(|| self.extra.clone());
        let parts = [self.table.clone(), self.way.clone(), index, extra];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mysql::testing::Schema;

    #[tokio::test]
    async fn a_plan_says_which_index_it_uses_and_when_it_reads_everything() {
        let script = "CREATE TABLE people (id INTEGER PRIMARY KEY, role VARCHAR(9), age INTEGER, name VARCHAR(9));
             CREATE INDEX people_by_role ON people (role);
             INSERT INTO people (id, role, age, name) WITH RECURSIVE n (i) AS (
                 SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900
             ) SELECT i, i, i, i FROM n";
        let Some((_schema, mut conn)) = Schema::with(script).await else { return };
        let mut told = async |sql: &'static str| MySql::explain(&mut conn, Statement::of(sql)).await.unwrap();

        let scan = told("SELECT * FROM people WHERE age > 3 ORDER BY name").await;
        assert!(scan.full_scan);
        assert_eq!(scan.words[0], "Reads the whole table `people`, row by row.");
        assert!(scan.words[1].starts_with("Sorts all"), "{scan:?}");

        let by_index = told("SELECT * FROM people WHERE role = 'x'").await;
        assert!(!by_index.full_scan);
        assert_eq!(by_index.indexes, ["people_by_role"]);
        assert_eq!(by_index.words, ["Reads only a part of `people`, found by the index `people_by_role`."]);

        let by_key = told("SELECT * FROM people WHERE id > 3 AND id <= 9 ORDER BY id").await;
        assert!(!by_key.full_scan);
        assert_eq!(by_key.words, ["Reads only a part of `people`, found by its primary key."]);

        let covering = told("SELECT role FROM people ORDER BY role").await;
        assert!(covering.full_scan);
        assert_eq!(covering.words, ["Reads the whole index `people_by_role` of `people`."]);
    }

    #[tokio::test]
    async fn any_type_is_shown_as_text_and_bytes_as_such() {
        let script = "CREATE TABLE t (a INTEGER, b VARBINARY(9), c LONGTEXT, d DATE, e DECIMAL(5, 2), f LONGBLOB);
             INSERT INTO t VALUES (12, x'ff00', 'hällo', '2024-02-29', 1.5, NULL)";
        let Some((_schema, mut conn)) = Schema::with(script).await else { return };
        let mut select = sea_query::Query::select();
        select.exprs(["a", "b", "c", "d", "e", "f"].map(|column| shown(column, 4))).from("t");
        let rows = MySql::fetch(&mut conn, MySql::build(&select)).await.unwrap();
        let texts: Vec<_> = (0..6).map(|index| MySql::text(&rows[0], index).unwrap()).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts, [some("12"), some("x'FF00'"), some("häll"), some("2024"), some("1.50"), None]);
    }
}
