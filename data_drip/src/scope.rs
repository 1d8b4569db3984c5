//! Which rows a backfill is about: a table, filters, and the key that orders the walk.

mod filter;
mod value;

use std::fmt;
use std::marker::PhantomData;

use sea_query::{Alias, IntoTableRef, TableRef};

pub use self::filter::{Column, Filter, IntoOperand, Operand, col};
pub use self::value::{IntoSetting, IntoValue, Value};
use crate::backend::{Backend, Described, KeySpec};
use crate::error::{Error, ErrorKind};

/// A table by name, with its schema where one is named. Never split, never parsed: quoted as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl TableName {
    pub(crate) fn to_ref(&self) -> TableRef {
        match &self.schema {
            Some(schema) => (Alias::new(schema), Alias::new(&self.name)).into_table_ref(),
            None => Alias::new(&self.name).into_table_ref(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }
}

impl From<String> for TableName {
    fn from(name: String) -> Self {
        Self { schema: None, name }
    }
}

impl From<(&str, &str)> for TableName {
    fn from((schema, name): (&str, &str)) -> Self {
        Self { schema: Some(schema.to_owned()), name: name.to_owned() }
    }
}

/// The columns of a key: one name, or several in the order of their index.
pub trait IntoKey {
    /// The names.
    fn into_key(self) -> Vec<String>;
}

impl IntoKey for &str {
    fn into_key(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl<const N: usize> IntoKey for [&str; N] {
    fn into_key(self) -> Vec<String> {
        self.map(str::to_owned).into()
    }
}

impl IntoKey for Vec<String> {
    fn into_key(self) -> Vec<String> {
        self
    }
}

/// Which rows, on which database: a table, and filters that all have to hold.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use data_drip::scope::{Scope, col};
///
/// let (department, age) = (String::from("Sales"), None::<i64>);
/// let scope = Scope::<sqlx::Sqlite>::table("employees")
///     .filter(col("role").is_null())
///     .filter(col("department").eq(&department))
///     .filter_some(age, |age| col("age").ge(age));
/// # }
/// ```
///
/// A join or a sub-select goes in as a condition on a column of the table: [`Filter`] is made from any
/// `sea_query::Expr`.
pub struct Scope<DB> {
    pub(crate) table: TableName,
    pub(crate) filters: Vec<Filter>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) key: Option<Vec<String>>,
    database: PhantomData<fn() -> DB>,
}

impl<DB> Clone for Scope<DB> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            filters: self.filters.clone(),
            columns: self.columns.clone(),
            key: self.key.clone(),
            database: PhantomData,
        }
    }
}

impl<DB> fmt::Debug for Scope<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("table", &self.table)
            .field("filters", &self.filters)
            .field("columns", &self.columns)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<DB> Scope<DB> {
    /// All rows of a table: `"employees"`, or `("hr", "employees")` with its schema.
    pub fn table(name: impl Into<TableName>) -> Self {
        Self { table: name.into(), filters: Vec::new(), columns: None, key: None, database: PhantomData }
    }

    /// Only the rows for which `filter` holds, besides all filters so far.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<Filter>) -> Self {
        self.filters.push(filter.into());
        self
    }

    /// Filters by an optional value when there is one.
    #[must_use]
    pub fn filter_some<T, F: Into<Filter>>(self, value: Option<T>, filter: impl FnOnce(T) -> F) -> Self {
        match value {
            Some(value) => self.filter(filter(value)),
            None => self,
        }
    }

    /// Filters when `condition` holds.
    #[must_use]
    pub fn filter_if(self, condition: bool, filter: impl Into<Filter>) -> Self {
        if condition { self.filter(filter) } else { self }
    }

    /// The columns that elements and rows are read from, where not every column should be.
    ///
    /// The key is read besides.
    #[must_use]
    pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Walks by another key than the primary key: `"id"`, or `["tenant", "number"]`.
    ///
    /// It needs a unique index over exactly these columns, in this order, none of them nullable. What cannot be
    /// walked safely is refused before the run starts, with what to do about it.
    #[must_use]
    pub fn key(mut self, columns: impl IntoKey) -> Self {
        self.key = Some(columns.into_key());
        self
    }
}

impl<DB: Backend> Scope<DB> {
    /// Looks the table up in the catalogue and checks everything that the scope says about it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for what cannot be walked safely, [`ErrorKind::Configuration`] for columns that the
    /// table does not have; the message says how to mend it.
    pub(crate) async fn resolve(&self, conn: &mut DB::Connection) -> Result<KeySpec, Error> {
        Ok(self.describe(conn).await?.key)
    }

    /// The same, with all columns of the table.
    ///
    /// # Errors
    /// As [`resolve`](Scope::resolve).
    pub(crate) async fn describe(&self, conn: &mut DB::Connection) -> Result<Described, Error> {
        let mut found = DB::describe(conn, &self.table, self.key.as_deref()).await?;
        let mut used: Vec<&str> = self.columns.iter().flatten().map(String::as_str).collect();
        self.filters.iter().for_each(|filter| filter.columns(&mut used));
        for column in used {
            let is = |known: &String| known == column || (DB::NAMES_FOLD && known.eq_ignore_ascii_case(column));
            if !found.columns.iter().any(is) {
                return Err(unknown_column(&self.table, column, &found.columns));
            }
        }
        found.key.by_key_only = DB::needs_key_order(conn, self, &found.key).await?;
        Ok(found)
    }

    /// The same scope on the very table that was found for it: a search path that leads elsewhere changes nothing.
    pub(crate) fn at(mut self, spec: &KeySpec) -> Self {
        if self.table.schema.is_none() {
            self.table.schema.clone_from(&spec.schema);
        }
        self
    }

    /// Columns with the table before them: SQLite takes a quoted name that is no column for a string otherwise.
    pub(crate) fn qualified<'c>(&'c self, columns: &'c [String]) -> impl Iterator<Item = (Alias, Alias)> + 'c {
        columns.iter().map(|column| (Alias::new(&self.table.name), Alias::new(column)))
    }

    /// All filters as one condition; `None` without any.
    pub(crate) fn filters(&self) -> Result<Option<sea_query::Expr>, Error> {
        if self.filters.is_empty() {
            return Ok(None);
        }
        Filter::all(self.filters.iter().cloned()).to_expr::<DB>(&self.table).map(Some)
    }

    /// The same, for a statement that has to enter the table by its key.
    pub(crate) fn condition(&self, spec: &KeySpec) -> Result<Option<sea_query::Expr>, Error> {
        let all = self.filters()?;
        Ok(if spec.by_key_only { all.map(DB::opaque) } else { all })
    }
}

pub(crate) fn unknown_column(table: &TableName, column: &str, known: &[String]) -> Error {
    // Where case makes a difference, it is the likeliest one.
    let near = known.iter().map(String::as_str).find(|known| known.eq_ignore_ascii_case(column));
    let near =
        near.or_else(|| crate::suggest::did_you_mean(column, &known.iter().map(String::as_str).collect::<Vec<_>>()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", known.join(", ")),
    };
    Error::new(ErrorKind::Configuration, format!("the table `{table}` has no column `{column}`: {hint}"))
}
