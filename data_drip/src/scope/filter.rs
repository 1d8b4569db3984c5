//! Conditions on the columns of a table.
//!
//! Types of our own with inherent methods: sea-query's `ExprTrait` would take over `a.max(b)` and `a.eq(&b)` in every
//! file that imports it.

use sea_query::{Alias, Expr, ExprTrait};

use super::TableName;
use super::value::{IntoValue, Value};
use crate::backend::Backend;
use crate::error::Error;

/// A column of the scope's table, by its name: quoted as it is, never parsed.
#[derive(Clone, Debug)]
pub struct Column(pub(crate) String);

/// The column `name`.
pub fn col(name: impl Into<String>) -> Column {
    Column(name.into())
}

/// What a column is compared with.
#[derive(Clone, Debug)]
pub struct Operand(Side);

#[derive(Clone, Debug)]
enum Side {
    Value(Value),
    Column(Column),
}

/// A value, or another column of the table.
#[diagnostic::on_unimplemented(
    message = "a column cannot be compared with `{Self}`",
    label = "not a value and not a column",
    note = "an `Option` equals nothing when it is `None`: use `is_null()`, or `scope.filter_some(option, |value| …)`",
    note = "an `OptionEnum` is compared by its `value()`, a method of the trait `data_drip::options::OptionEnum`"
)]
pub trait IntoOperand {
    /// The operand.
    fn into_operand(self) -> Operand;
}

impl<T: IntoValue> IntoOperand for T {
    fn into_operand(self) -> Operand {
        Operand(Side::Value(self.into_value()))
    }
}

impl IntoOperand for Column {
    fn into_operand(self) -> Operand {
        Operand(Side::Column(self))
    }
}

/// A condition that each row meets or not. As everywhere in SQL, comparing NULL with anything is not met.
#[derive(Clone, Debug)]
pub struct Filter(Node);

#[derive(Clone, Debug)]
enum Node {
    Compare(Column, Op, Operand),
    Null(Column, bool),
    In(Column, Vec<Value>, bool),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Raw(Box<Expr>),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    NotLike,
}

/// Anything else that is true or false of a row: a join or a sub-select as `id IN (SELECT …)`, a function.
///
/// Its values are bound as sea-query holds them; its columns are not checked before the run.
impl From<Expr> for Filter {
    fn from(expr: Expr) -> Self {
        Self(Node::Raw(Box::new(expr)))
    }
}

macro_rules! comparisons {
    ($($(#[$meta:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$meta])*
        pub fn $name(self, other: impl IntoOperand) -> Filter {
            Filter(Node::Compare(self, Op::$op, other.into_operand()))
        }
    )*};
}

impl Column {
    comparisons! {
        /// Equal to `other`. NULL is equal to nothing: an `Option` is refused at compile time.
        eq => Eq;
        /// Not equal to `other`; not met by NULL either.
        ne => Ne;
        /// Less than `other`.
        lt => Lt;
        /// Less than or equal to `other`.
        le => Le;
        /// Less than or equal to `other`: [`le`](Column::le) by its longer name.
        lte => Le;
        /// Greater than `other`.
        gt => Gt;
        /// Greater than or equal to `other`.
        ge => Ge;
        /// Greater than or equal to `other`: [`ge`](Column::ge) by its longer name.
        gte => Ge;
    }

    /// Is NULL.
    pub fn is_null(self) -> Filter {
        Filter(Node::Null(self, true))
    }

    /// Is not NULL.
    pub fn is_not_null(self) -> Filter {
        Filter(Node::Null(self, false))
    }

    /// From `low` to `high`, both included.
    pub fn between(self, low: impl IntoOperand, high: impl IntoOperand) -> Filter {
        self.clone().ge(low).and(self.le(high))
    }

    /// One of `values`; of none, no row.
    pub fn is_in<V: IntoValue>(self, values: impl IntoIterator<Item = V>) -> Filter {
        Filter(Node::In(self, values.into_iter().map(IntoValue::into_value).collect(), true))
    }

    /// None of `values`, and not NULL; of none, every row.
    pub fn is_not_in<V: IntoValue>(self, values: impl IntoIterator<Item = V>) -> Filter {
        Filter(Node::In(self, values.into_iter().map(IntoValue::into_value).collect(), false))
    }

    /// Matches the pattern, `%` and `_` being wildcards. Nothing in it is escaped, and whether letters of either case
    /// are the same is the database's affair (on SQLite ASCII letters are).
    pub fn like(self, pattern: impl Into<String>) -> Filter {
        Filter(Node::Compare(self, Op::Like, pattern.into().into_operand()))
    }

    /// Does not match the pattern; see [`like`](Column::like).
    pub fn not_like(self, pattern: impl Into<String>) -> Filter {
        Filter(Node::Compare(self, Op::NotLike, pattern.into().into_operand()))
    }

    pub(crate) fn to_expr(&self, table: &TableName) -> Expr {
        // Qualified: SQLite takes a quoted name that is no column for a string, unless a table stands before it.
        Expr::col((Alias::new(&table.name), Alias::new(&self.0)))
    }
}

impl Filter {
    /// This and `other`.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self(Node::All(vec![self, other.into()]))
    }

    /// This or `other`.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self(Node::Any(vec![self, other.into()]))
    }

    /// All of them; of none, every row.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::All(filters.into_iter().collect()))
    }

    /// At least one of them; of none, no row.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::Any(filters.into_iter().collect()))
    }

    /// Not this. Where this is neither true nor false because of NULL, its opposite is not met either.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it reads like `and` and `or`; the operator is there too")]
    pub fn not(self) -> Self {
        Self(Node::Not(Box::new(self)))
    }

    /// The columns named in it, as far as they are ours to see.
    pub(crate) fn columns<'f>(&'f self, into: &mut Vec<&'f str>) {
        match &self.0 {
            Node::Compare(column, _, Operand(side)) => {
                into.push(&column.0);
                if let Side::Column(other) = side {
                    into.push(&other.0);
                }
            }
            Node::Null(column, _) | Node::In(column, ..) => into.push(&column.0),
            Node::All(filters) | Node::Any(filters) => filters.iter().for_each(|filter| filter.columns(into)),
            Node::Not(filter) => filter.columns(into),
            Node::Raw(_) => {}
        }
    }

    pub(crate) fn to_expr<DB: Backend>(&self, table: &TableName) -> Result<Expr, Error> {
        let join = |filters: &[Self], empty: bool, with: fn(Expr, Expr) -> Expr| {
            let mut joined = None;
            for filter in filters {
                let next = filter.to_expr::<DB>(table)?;
                joined = Some(match joined {
                    Some(before) => with(before, next),
                    None => next,
                });
            }
            Ok::<_, Error>(joined.unwrap_or_else(|| constant(empty)))
        };
        Ok(match &self.0 {
            Node::Compare(column, op, Operand(side)) => {
                let left = column.to_expr(table);
                let right = match side {
                    Side::Value(value) => DB::value(value)?,
                    Side::Column(other) => other.to_expr(table),
                };
                op.apply(left, right)
            }
            Node::Null(column, true) => column.to_expr(table).is_null(),
            Node::Null(column, false) => column.to_expr(table).is_not_null(),
            Node::In(_, values, wanted) if values.is_empty() => constant(!wanted),
            Node::In(column, values, wanted) => {
                let values = values.iter().map(DB::value).collect::<Result<Vec<_>, _>>()?;
                let column = column.to_expr(table);
                if *wanted { column.is_in(values) } else { column.is_not_in(values) }
            }
            Node::All(filters) => join(filters, true, ExprTrait::and)?,
            Node::Any(filters) => join(filters, false, ExprTrait::or)?,
            Node::Not(filter) => filter.to_expr::<DB>(table)?.not(),
            // In brackets: what somebody wrote as text may hold an `OR`.
            Node::Raw(expr) => Expr::tuple([(**expr).clone()]),
        })
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::not(self)
    }
}

impl Op {
    fn apply(self, left: Expr, right: Expr) -> Expr {
        use sea_query::BinOper;
        let op = match self {
            Self::Eq => BinOper::Equal,
            Self::Ne => BinOper::NotEqual,
            Self::Lt => BinOper::SmallerThan,
            Self::Le => BinOper::SmallerThanOrEqual,
            Self::Gt => BinOper::GreaterThan,
            Self::Ge => BinOper::GreaterThanOrEqual,
            Self::Like => BinOper::Like,
            Self::NotLike => BinOper::NotLike,
        };
        left.binary(op, right)
    }
}

/// Always or never met, in the words of every database.
fn constant(met: bool) -> Expr {
    Expr::cust(if met { "1 = 1" } else { "1 = 0" })
}
