//! Which rows a backfill is about: a table, filters, and the key that orders the walk.

use std::marker::PhantomData;

/// A table by name, with its schema where one is named. Never split, never parsed: quoted as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }
}

impl From<(&str, &str)> for TableName {
    fn from((schema, name): (&str, &str)) -> Self {
        Self { schema: Some(schema.to_owned()), name: name.to_owned() }
    }
}

/// Which rows, on which database.
pub struct Scope<DB> {
    pub(crate) table: TableName,
    database: PhantomData<fn() -> DB>,
}

impl<DB> Scope<DB> {
    /// All rows of a table: `"employees"`, or `("hr", "employees")` with its schema.
    pub fn table(name: impl Into<TableName>) -> Self {
        Self { table: name.into(), database: PhantomData }
    }
}
