//! Which index orders the walk: unique, complete, ready, over the bare columns, in one direction and in their own collation.

use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Column, refused, rows};
use crate::backend::Statement;
use crate::error::Error;
use crate::scope::TableName;

/// `pg_index.indoption`.
const DESCENDING: i64 = 1;
const NULLS_FIRST: i64 = 2;

#[expect(clippy::struct_excessive_bools, reason = "as the catalogue keeps them")]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) primary: bool,
    unique: bool,
    /// Valid and ready.
    usable: bool,
    partial: bool,
    btree: bool,
    pub(super) columns: Vec<Part>,
}

pub(super) struct Part {
    /// Of the table's column; 0 for an expression.
    pub(super) number: i64,
    collation: i64,
    option: i64,
    /// Ordered as the type is by default.
    default_order: bool,
    /// Its operators are those that a plain `>` means.
    visible: bool,
}

pub(super) async fn of(conn: &mut PgConnection, table: i64) -> Result<Vec<Index>, Error> {
    // Counted, not NOT EXISTS: that is answered by asking for every operator there is whether it is visible.
    let statement = Statement::of(
        "SELECT c.relname::text, i.indisprimary, i.indisunique, i.indisvalid AND i.indisready, i.indpred IS NOT NULL, \
             am.amname = 'btree', k.place::bigint, i.indkey[k.place]::bigint, i.indcollation[k.place]::bigint, \
             i.indoption[k.place]::bigint, o.opcdefault, 0 = ( \
                 SELECT count(*) FROM pg_catalog.pg_amop p WHERE p.amopfamily = o.opcfamily AND p.amoplefttype = o.opcintype \
                     AND p.amoprighttype = o.opcintype AND NOT pg_operator_is_visible(p.amopopr)) \
         FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS k (place) \
         JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[k.place] \
         WHERE i.indrelid = $1::oid \
         ORDER BY NOT i.indisprimary, c.relname, k.place",
    );
    let mut indexes: Vec<Index> = Vec::new();
    for row in rows(conn, statement.bind(table)).await? {
        if row.try_get::<i64, _>(6)? == 0 {
            indexes.push(Index {
                name: row.try_get(0)?,
                primary: row.try_get(1)?,
                unique: row.try_get(2)?,
                usable: row.try_get(3)?,
                partial: row.try_get(4)?,
                btree: row.try_get(5)?,
                columns: Vec::new(),
            });
        }
        let part = Part {
            number: row.try_get(7)?,
            collation: row.try_get(8)?,
            option: row.try_get(9)?,
            default_order: row.try_get(10)?,
            visible: row.try_get(11)?,
        };
        if let Some(index) = indexes.last_mut() {
            index.columns.push(part);
        }
    }
    Ok(indexes)
}

/// Refuses a key without an index that it can be walked by; the message says what is wrong with the nearest one.
pub(super) fn check(name: &TableName, table: &str, indexes: &[Index], key: &[&Column]) -> Result<(), Error> {
    let over: Vec<_> = indexes
        .iter()
        .filter(|index| index.columns.iter().map(|part| part.number).eq(key.iter().map(|column| column.number)))
        .collect();
    let mut reasons = over.iter().map(|index| index.unfit(key).map(|why| (index, why)));
    if over.iter().any(|index| index.unfit(key).is_none()) {
        return Ok(());
    }
    let listed = key.iter().map(|c| format!("\"{}\"", c.name.replace('"', "\"\""))).collect::<Vec<_>>().join(", ");
    let mend =
        format!("`CREATE UNIQUE INDEX CONCURRENTLY … ON {table} ({listed})`, or name another key with `.key(..)`");
    Err(refused(match reasons.next().flatten() {
        Some((index, why)) => format!("the index `{}` over the key ({listed}) of `{name}` {why}: {mend}", index.name),
        None => format!(
            "the key ({listed}) of `{name}` has no unique index over exactly these columns in this order: {mend}"
        ),
    }))
}

impl Index {
    /// Why it does not order the walk; `None` when it does.
    fn unfit(&self, key: &[&Column]) -> Option<&'static str> {
        let ascending = |part: &Part| part.option & (DESCENDING | NULLS_FIRST) == 0;
        // Read backwards, it is the same.
        let descending = |part: &Part| part.option & (DESCENDING | NULLS_FIRST) == DESCENDING | NULLS_FIRST;
        if !self.unique {
            Some("is not unique")
        } else if self.partial {
            Some("is partial, so that some rows are not in it")
        } else if !self.usable {
            Some("is not valid or still being built (`REINDEX` or drop it)")
        } else if !self.btree || self.columns.iter().any(|part| !part.default_order) {
            Some("is in another order than its columns are compared in (its operator class)")
        } else if self.columns.iter().any(|part| !part.visible) {
            // Else `>` on a `citext` is that of text, which orders by other rules than the index.
            Some(
                "is ordered by operators in a schema that the search path does not lead to (add the extension's schema to it)",
            )
        } else if self.columns.iter().zip(key).any(|(part, column)| part.collation != column.collation) {
            Some("has another COLLATE than its columns have")
        } else if !self.columns.iter().all(ascending) && !self.columns.iter().all(descending) {
            Some("mixes ASC and DESC, or NULLS FIRST and LAST")
        } else {
            None
        }
    }
}
