//! The statements of the walk, and what their rows say.

use std::time::Instant;

use sea_query::{
    Alias, CommonTableExpression, Expr, Func, JoinType, Order, Query, SelectStatement, UnionType, WithClause,
};

use crate::backend::{Backend, KeySpec, Session, Statement};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyPart};
use crate::scope::Scope;

/// The count of a page, beside the key's own columns.
const COUNT: &str = "data_drip_count";
/// Pages that follow each other, and the number of each among them.
const PAGES: &str = "data_drip_pages";
const NUMBER: &str = "data_drip_number";

/// A connection to read on, and what to read.
pub(super) struct Reader<'r, DB: Backend> {
    pub(super) scope: &'r Scope<DB>,
    pub(super) spec: &'r KeySpec,
    pub(super) conn: &'r mut DB::Connection,
    pub(super) session: &'r DB::Session,
}

/// The last key of some rows, and how many they are.
pub(super) enum Page {
    Rows {
        last: Key,
        rows: u64,
    },
    Empty,
    /// The deadline struck.
    Struck,
}

/// A statement was ended by its deadline.
pub(super) struct Struck;

/// Which rows a page is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Matching,
    All,
}

impl<DB: Backend> Reader<'_, DB> {
    /// The last of the next `limit` rows in the keys after `after` up to `upto`.
    pub(super) async fn page(
        &mut self,
        of: Of,
        after: Option<&Key>,
        upto: &Key,
        limit: u64,
        deadline: Option<Instant>,
    ) -> Result<Page, Error> {
        let statement = page(self.scope, self.spec, of, after, upto, limit)?;
        let row = match deadline {
            Some(deadline) => self.within(deadline, statement).await?,
            None => Ok(DB::first(self.conn, statement).await?),
        };
        match row {
            Ok(Some(row)) => self.read(&row),
            Ok(None) => Ok(Page::Empty),
            Err(Struck) => Ok(Page::Struck),
        }
    }

    /// Up to `most` such pages of rows that match, one after the other, as far as they are full; and the first that is not.
    pub(super) async fn pages(
        &mut self,
        after: Option<&Key>,
        upto: &Key,
        limit: u64,
        most: usize,
        deadline: Instant,
    ) -> Result<Result<Vec<Page>, Struck>, Error> {
        let statement = pages(self.scope, self.spec, after, upto, limit, most)?;
        match self.all_within(deadline, statement).await? {
            Ok(rows) => rows.iter().map(|row| self.read(row)).collect::<Result<_, _>>().map(Ok),
            Err(struck) => Ok(Err(struck)),
        }
    }

    fn read(&self, row: &DB::Row) -> Result<Page, Error> {
        match unsigned(DB::int(row, self.spec.columns.len())?) {
            0 => Ok(Page::Empty),
            rows => Ok(Page::Rows { last: key_at::<DB>(self.spec, row, 0)?, rows }),
        }
    }

    /// The first row, if there is one, before the deadline.
    ///
    /// Dropped half-way, it leaves the deadline to the statement that still runs; whoever drops it lifts it.
    pub(super) async fn within(
        &mut self,
        deadline: Instant,
        statement: Statement,
    ) -> Result<Result<Option<DB::Row>, Struck>, Error> {
        match DB::first_before(self.conn, self.session, deadline, statement).await {
            Ok(row) => Ok(Ok(row)),
            Err(error) if DB::is_interrupted(&error) && !self.session.is_interrupted() => Ok(Err(Struck)),
            Err(error) => Err(error.into()),
        }
    }
}

impl<DB: Backend> Reader<'_, DB> {
    /// As [`within`](Reader::within), with all rows.
    pub(super) async fn all_within(
        &mut self,
        deadline: Instant,
        statement: Statement,
    ) -> Result<Result<Vec<DB::Row>, Struck>, Error> {
        match DB::fetch_before(self.conn, self.session, deadline, statement).await {
            Ok(rows) => Ok(Ok(rows)),
            Err(error) if DB::is_interrupted(&error) && !self.session.is_interrupted() => Ok(Err(Struck)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where SQLite lets NULL into a key, `(a, b) > (x, y)` and `(a, b) <= (x, y)` both pass over a row `(x, NULL)`.
pub(super) async fn refuse_null_beside<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    conn: &mut DB::Connection,
    boundary: &Key,
) -> Result<(), Error> {
    // In here only: the trait takes `max` and its like over for every type.
    use sea_query::ExprTrait as _;

    for (place, column) in spec.columns.iter().enumerate() {
        if !spec.nullable.contains(column) {
            continue;
        }
        let mut select = Query::select();
        select.expr(Expr::cust("1")).from(scope.table.to_ref()).limit(1);
        for (before, (column, part)) in spec.columns.iter().zip(&boundary.0).enumerate().take(place) {
            select.and_where(Expr::col(Alias::new(column)).eq(DB::key_value(spec, before, part)?));
        }
        select.and_where(Expr::col(Alias::new(column)).is_null());
        if !DB::fetch(conn, DB::build(&select)).await?.is_empty() {
            return Err(null_key(&spec.table, column));
        }
    }
    Ok(())
}

pub(super) fn page<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    of: Of,
    after: Option<&Key>,
    upto: &Key,
    limit: u64,
) -> Result<Statement, Error> {
    let last = last::<DB>(spec, rows(scope, spec, of, after, upto)?, limit);
    let mut select = rendered::<DB>(spec);
    select.column(Alias::new(COUNT)).from_subquery(last, Alias::new("last"));
    Ok(DB::build(&select))
}

/// Pages that follow each other, in one statement: each begins after the key that the one before has ended with.
pub(super) fn pages<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    after: Option<&Key>,
    upto: &Key,
    limit: u64,
    most: usize,
) -> Result<Statement, Error> {
    // In here only: the trait takes `max` and its like over for every type.
    use sea_query::ExprTrait as _;

    let (pages, next) = (|| Alias::new(PAGES), || Alias::new("next"));
    let of = |page: Alias, column: &str| Expr::col((page, Alias::new(column)));
    let counted = || spec.columns.iter().map(String::as_str).chain([COUNT]);

    let mut first = Query::select();
    first.columns(counted().map(Alias::new)).expr_as(Expr::cust("1"), Alias::new(NUMBER));
    first.from_subquery(last::<DB>(spec, rows(scope, spec, Of::Matching, after, upto)?, limit), Alias::new("first"));

    let mut following = rows(scope, spec, Of::Matching, None, upto)?;
    let key = spec.columns.iter().map(|column| Expr::col(Alias::new(column)));
    let before = spec.columns.iter().map(|column| of(pages(), column));
    following.and_where(Expr::tuple(key).gt(Expr::tuple(before)));
    let mut others = Query::select();
    others.exprs(counted().map(|column| of(next(), column))).expr(of(pages(), NUMBER).add(1)).from(pages());
    others.join_lateral(JoinType::InnerJoin, last::<DB>(spec, following, limit), next(), Expr::cust("true"));
    others.and_where(of(pages(), COUNT).eq(limit)).and_where(of(pages(), NUMBER).lt(most as u64));

    first.union(UnionType::All, others);
    let every = CommonTableExpression::new().table_name(pages()).query(first).to_owned();
    let mut select = rendered::<DB>(spec);
    select.with_cte(WithClause::new().recursive(true).cte(every).to_owned());
    select.column(Alias::new(COUNT)).from(pages()).order_by(Alias::new(NUMBER), Order::Asc);
    Ok(DB::build(&select))
}

/// The key columns of the last of the next `limit` of these rows, and how many those are.
fn last<DB: Backend>(spec: &KeySpec, mut page: SelectStatement, limit: u64) -> SelectStatement {
    let columns = || spec.columns.iter().map(Alias::new);
    DB::by_key(&mut page, spec);
    page.columns(columns()).limit(limit);
    order(spec, &mut page, &Order::Asc);
    let mut last = Query::select();
    if let [column] = spec.columns.as_slice()
        && DB::has_max(spec)
    {
        // Half the time of the other form (measured on SQLite: 0.2 µs a row).
        last.expr_as(Func::max(Expr::col(Alias::new(column))), Alias::new(column))
            .expr_as(Func::count(Expr::cust("*")), Alias::new(COUNT))
            .from_subquery(page, Alias::new("page"));
    } else {
        let mut counted = Query::select();
        counted.expr(Func::count(Expr::cust("*"))).from(Alias::new("page"));
        let page = CommonTableExpression::new().table_name(Alias::new("page")).query(page).to_owned();
        last.with_cte(page)
            .columns(columns())
            .expr_as(Expr::from(counted), Alias::new(COUNT))
            .from(Alias::new("page"))
            .limit(1);
        order(spec, &mut last, &Order::Desc);
    }
    last
}

/// The greatest key of the table.
pub(super) fn greatest<DB: Backend>(scope: &Scope<DB>, spec: &KeySpec) -> Statement {
    let mut select = rendered::<DB>(spec);
    select.from(scope.table.to_ref()).limit(1);
    order(spec, &mut select, &Order::Desc);
    DB::build(&select)
}

/// The least or the greatest key that matches.
pub(super) fn end<DB: Backend>(scope: &Scope<DB>, spec: &KeySpec, from: &Order) -> Result<Statement, Error> {
    let mut select = rendered::<DB>(spec);
    select.from(scope.table.to_ref()).and_where_option(scope.condition(spec)?).limit(1);
    order(spec, &mut select, from);
    Ok(DB::build(&select))
}

/// Some rows that match, as people read them: the first ones, or any.
pub(super) fn shown<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    columns: &[String],
    most: u32,
    limit: u64,
    first: bool,
) -> Result<Statement, Error> {
    let mut select = Query::select();
    select.exprs(columns.iter().map(|column| DB::shown(column, most)));
    select.from(scope.table.to_ref()).and_where_option(scope.condition(spec)?).limit(limit);
    if first {
        order(spec, &mut select, &Order::Asc);
    }
    Ok(DB::build(&select))
}

/// A row that matches, if any does.
///
/// By whichever way the optimizer likes: it is asked once.
pub(super) fn any<DB: Backend>(scope: &Scope<DB>) -> Result<Statement, Error> {
    let mut select = Query::select();
    select.expr(Expr::cust("1")).from(scope.table.to_ref()).limit(1).and_where_option(scope.filters()?);
    Ok(DB::build(&select))
}

/// How many rows match, found likewise.
pub(super) fn count<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    after: Option<&Key>,
    upto: &Key,
) -> Result<Statement, Error> {
    let mut select = rows(scope, spec, Of::All, after, upto)?;
    select.expr(Func::count(Expr::cust("*"))).and_where_option(scope.filters()?);
    Ok(DB::build(&select))
}

/// How many rows, and how many that match, are among the first or the last `limit` of a range.
pub(super) fn sample<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    after: Option<&Key>,
    upto: &Key,
    from: &Order,
    limit: u64,
) -> Result<Statement, Error> {
    let mut page = rows(scope, spec, Of::All, after, upto)?;
    let condition = scope.condition(spec)?.unwrap_or_else(|| Expr::cust("1 = 1"));
    page.expr_as(Expr::case(condition, 1).finally(0), Alias::new(COUNT)).limit(limit);
    order(spec, &mut page, from);
    let mut select = Query::select();
    select
        .expr(Func::count(Expr::cust("*")))
        .expr(Func::sum(Expr::col(Alias::new(COUNT))))
        .from_subquery(page, Alias::new("page"));
    Ok(DB::build(&select))
}

/// `SELECT … FROM table WHERE` in the range.
fn rows<DB: Backend>(
    scope: &Scope<DB>,
    spec: &KeySpec,
    of: Of,
    after: Option<&Key>,
    upto: &Key,
) -> Result<SelectStatement, Error> {
    let mut select = Query::select();
    select.from(scope.table.to_ref());
    for bound in in_range::<DB>(spec, after, upto)? {
        select.and_where(bound);
    }
    if of == Of::Matching {
        select.and_where_option(scope.condition(spec)?);
    }
    Ok(select)
}

fn rendered<DB: Backend>(spec: &KeySpec) -> SelectStatement {
    let mut select = Query::select();
    select.exprs((0..spec.columns.len()).map(|place| DB::key_text(spec, place)));
    select
}

fn order(spec: &KeySpec, select: &mut SelectStatement, order: &Order) {
    for column in &spec.columns {
        select.order_by(Alias::new(column), order.clone());
    }
}

/// The conditions that hold the keys of a range.
pub(crate) fn in_range<DB: Backend>(spec: &KeySpec, after: Option<&Key>, upto: &Key) -> Result<Vec<Expr>, Error> {
    let after = after.map(|after| DB::key_after(spec, after)).transpose()?;
    Ok(after.into_iter().chain([DB::key_upto(spec, upto)?]).collect())
}

/// The key that the columns of a row from `first` spell.
pub(crate) fn key_at<DB: Backend>(spec: &KeySpec, row: &DB::Row, first: usize) -> Result<Key, Error> {
    let parts = spec.columns.iter().enumerate().map(|(i, column)| {
        let Some(rendered) = DB::text(row, first + i)? else { return Err(null_key(&spec.table, column)) };
        let (tag, text) = rendered.split_once(':').unwrap_or(("", &rendered));
        let part = KeyPart { tag: tag.into(), text: text.into() };
        // Refuses, now and not when it is bound, what cannot be.
        DB::key_value(spec, i, &part)?;
        Ok(part)
    });
    parts.collect::<Result<_, _>>().map(Key)
}

pub(crate) fn null_key(table: &str, column: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the key column `{column}` of `{table}` holds NULL in some rows, and those would be passed over: give them \
             a value and declare the column NOT NULL, or name another key with `.key(..)`"
        ),
    )
}

pub(super) fn unsigned(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}
