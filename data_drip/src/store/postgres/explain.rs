//! What PostgreSQL would do with a statement, in words; and rows as people read them.

use sea_query::{Alias, Expr, Value};
use sqlx::postgres::{PgConnection, Postgres};

use crate::backend::{Backend, Explanation, Statement};
use crate::error::Error;

/// Any type as PostgreSQL prints it, cut on the server.
pub(super) fn shown(column: &str, most: u32) -> Expr {
    let most = Expr::val(Value::from(i64::from(most)));
    Expr::cust_with_exprs("left(CAST($1 AS text), CAST($2 AS integer))", [Expr::col(Alias::new(column)), most])
}

pub(super) async fn explain(conn: &mut PgConnection, statement: Statement) -> Result<Explanation, Error> {
    let Statement { sql, values } = statement;
    let explain = Statement { sql: format!("EXPLAIN (COSTS OFF) {sql}").into(), values };
    let rows = Postgres::fetch(conn, explain).await?;
    let lines = rows.iter().map(|row| Ok(Postgres::text(row, 0)?.unwrap_or_default()));
    Ok(explanation(lines.collect::<sqlx::Result<_>>()?))
}

fn explanation(lines: Vec<String>) -> Explanation {
    let mut explanation = Explanation::default();
    for (line, condition) in lines.iter().zip(lines.iter().skip(1).map(Some).chain([None])) {
        let Some(step) = Step::of(line) else { continue };
        explanation.full_scan |= matches!(step, Step::Scan { .. });
        if let Step::Search { index, .. } = step {
            explanation.indexes.push(index.to_owned());
        }
        explanation.words.push(step.words(condition.and_then(|line| line.trim().strip_prefix("Index Cond: "))));
    }
    explanation.lines = lines;
    explanation
}

/// A node of the plan: <https://www.postgresql.org/docs/current/using-explain.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'l> {
    /// Row after row, all of them.
    Scan { table: &'l str },
    /// By an index; of a bitmap the table stands in another line.
    Search { table: Option<&'l str>, index: &'l str },
    /// What was found is sorted.
    Sort,
}

impl<'l> Step<'l> {
    /// Nodes begin their lines, behind an arrow; conditions, limits and what puts rows together are not told.
    fn of(line: &'l str) -> Option<Self> {
        let node = line.trim_start().trim_start_matches("-> ").trim_start().trim_start_matches("Parallel ");
        if let Some(table) = node.strip_prefix("Seq Scan on ") {
            return Some(Self::Scan { table: first_name(table) });
        }
        let named = ["Index Only Scan ", "Index Scan "].iter().find_map(|kind| node.strip_prefix(kind));
        if let Some((index, table)) = named.and_then(|rest| {
            let rest = rest.trim_start_matches("Backward ");
            rest.strip_prefix("using ")?.split_once(" on ")
        }) {
            return Some(Self::Search { table: Some(first_name(table)), index });
        }
        if let Some(index) = node.strip_prefix("Bitmap Index Scan on ") {
            return Some(Self::Search { table: None, index });
        }
        (node == "Sort" || node.starts_with("Incremental Sort")).then_some(Self::Sort)
    }

    fn words(self, condition: Option<&str>) -> String {
        let by = condition.map_or_else(String::new, |condition| format!(" {condition}"));
        match self {
            Self::Scan { table } => format!("Reads the whole table `{table}`, row by row."),
            Self::Search { table, index } if by.is_empty() => {
                let of = table.map_or_else(String::new, |table| format!(" of `{table}`"));
                format!("Reads the index `{index}`{of} in its order.")
            }
            Self::Search { table: Some(table), index } => {
                format!("Reads only a part of `{table}`, found by the index `{index}`{by}.")
            }
            Self::Search { table: None, index } => format!("Finds the rows by the index `{index}`{by}."),
            Self::Sort => "Sorts all that it found before the first row comes out.".to_owned(),
        }
    }
}

/// Without the alias behind it.
fn first_name(rest: &str) -> &str {
    if let Some(quoted) = rest.strip_prefix('"')
        && let Some(end) = quoted.find('"')
    {
        return &quoted[..end];
    }
    rest.split(' ').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_which_index_it_uses_and_when_it_reads_everything() {
        let told = |lines: &[&str]| explanation(lines.iter().map(ToString::to_string).collect());
        let scan = told(&["Sort", "  Sort Key: name", "  ->  Seq Scan on people", "        Filter: (age > 3)"]);
        assert!(scan.full_scan);
        assert!(scan.words[0].starts_with("Sorts all"), "{scan:?}");
        assert_eq!(scan.words[1], "Reads the whole table `people`, row by row.");

        let by_index = told(&[
            "Limit",
            "  ->  Index Scan using people_pkey on people p",
            "        Index Cond: ((id > 3) AND (id <= 9))",
        ]);
        assert!(!by_index.full_scan);
        assert_eq!(by_index.indexes, ["people_pkey"]);
        assert_eq!(
            by_index.words,
            ["Reads only a part of `people`, found by the index `people_pkey` ((id > 3) AND (id <= 9))."]
        );

        let bitmap = told(&[
            "Bitmap Heap Scan on people",
            "  Recheck Cond: (role = 'x'::text)",
            "  ->  Bitmap Index Scan on people_by_role",
            "        Index Cond: (role = 'x'::text)",
        ]);
        assert_eq!(bitmap.words, ["Finds the rows by the index `people_by_role` (role = 'x'::text)."]);
        assert_eq!(bitmap.indexes, ["people_by_role"]);

        let ordered = told(&["Index Only Scan Backward using people_pkey on people"]);
        assert_eq!(ordered.words, ["Reads the index `people_pkey` of `people` in its order."]);
    }
}
