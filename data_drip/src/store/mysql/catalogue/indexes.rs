//! Which index orders the walk: unique, visible, over whole columns and no expressions, in one direction.

use sqlx::Row;
use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};

use super::{Column, Table, quoted, refused, rows, text};
use crate::backend::{Backend, Statement};
use crate::error::Error;
use crate::scope::TableName;

pub(super) struct Index {
    pub(super) name: String,
    unique: bool,
    visible: bool,
    tree: bool,
    pub(super) parts: Vec<Part>,
}

pub(super) struct Part {
    /// `None` for an expression.
    pub(super) column: Option<String>,
    prefix: bool,
    descending: bool,
}

pub(super) async fn of(conn: &mut MySqlConnection, table: &Table) -> Result<Vec<Index>, Error> {
    // All columns: what hides an index is called otherwise on each server.
    let statement = Statement::of(
        "SELECT index_name, non_unique, index_type, column_name, sub_part, collation, s.* \
         FROM information_schema.statistics s WHERE table_schema = ?1 AND table_name = ?2 \
         ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index",
    );
    let mut indexes: Vec<Index> = Vec::new();
    for row in rows(conn, statement.bind(table.schema.as_str()).bind(table.name.as_str())).await? {
        let name = text(&row, 0)?;
        if indexes.last().is_none_or(|last| last.name != name) {
            let unique = MySql::int(&row, 1)? == Some(0);
            let tree = text(&row, 2)? == "BTREE";
            indexes.push(Index { name, unique, visible: visible(&row), tree, parts: Vec::new() });
        }
        let part = Part {
            column: MySql::text(&row, 3)?,
            prefix: MySql::int(&row, 4)?.is_some(),
            descending: text(&row, 5)? == "D",
        };
        if let Some(index) = indexes.last_mut() {
            index.parts.push(part);
        }
    }
    Ok(indexes)
}

/// MySQL makes indexes invisible, MariaDB ignores them.
fn visible(row: &MySqlRow) -> bool {
    let says = |column: &str, word: &str| {
        row.try_get_unchecked::<Option<String>, _>(column).is_ok_and(|value| value.as_deref() == Some(word))
    };
    !says("IS_VISIBLE", "NO") && !says("IGNORED", "YES")
}

/// The name of the index that the key is walked by. Refuses a key without one; the message says what is wrong with the
/// nearest.
pub(super) fn choose(name: &TableName, table: &str, indexes: &[Index], key: &[&Column]) -> Result<String, Error> {
    let over: Vec<_> = indexes.iter().filter(|index| index.is_over(key)).collect();
    if let Some(fit) = over.iter().find(|index| index.unfit().is_none()) {
        return Ok(fit.name.clone());
    }
    let listed = key.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
    let mend = format!("`CREATE UNIQUE INDEX … ON {table} ({listed})`, or name another key with `.key(..)`");
    Err(refused(match over.first().and_then(|index| Some((index, index.unfit()?))) {
        Some((index, why)) => format!("the index `{}` over the key ({listed}) of `{name}` {why}: {mend}", index.name),
        None => format!(
            "the key ({listed}) of `{name}` has no unique index over exactly these columns in this order: {mend}"
        ),
    }))
}

impl Index {
    fn is_over(&self, key: &[&Column]) -> bool {
        let columns = self.parts.iter().map(|part| part.column.as_ref().map(|column| column.to_lowercase()));
        columns.eq(key.iter().map(|column| Some(column.name.to_lowercase())))
    }

    /// Why it does not order the walk; `None` when it does.
    fn unfit(&self) -> Option<&'static str> {
        if !self.unique {
            Some("is not unique")
        } else if !self.visible {
            Some("is hidden from the optimizer (`VISIBLE`, on MariaDB `NOT IGNORED`)")
        } else if !self.tree {
            Some("is not a BTREE")
        } else if self.parts.iter().any(|part| part.prefix) {
            Some("holds only the beginning of a column")
        } else if self.parts.iter().any(|part| part.descending) && !self.parts.iter().all(|part| part.descending) {
            Some("mixes ASC and DESC")
        } else {
            None
        }
    }
}
