//! Keys on MySQL: rendered as text that means the same whatever a session has set, and bound back with a cast to the column's
//! exact type, its character set and its collation, so that the column's own order compares it and its index is used.

use sea_query::{Alias, Expr, ExprTrait};

use crate::backend::{KeyForm, KeySpec, KeyType};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyPart};

fn column(spec: &KeySpec, place: usize) -> Expr {
    Expr::col(Alias::new(&spec.columns[place]))
}

/// `type:text`; NULL for NULL.
pub(super) fn text(spec: &KeySpec, place: usize) -> Expr {
    let column = column(spec, place);
    let Some(of) = spec.types.get(place) else { return column };
    let rendered = match of.form {
        KeyForm::Bytes | KeyForm::Encoded => "CONCAT(?, HEX(?))",
        KeyForm::Ascii => "CONCAT(?, CONVERT(CONVERT(CAST(? AS BINARY) USING latin1) USING utf8mb4))",
        _ => "CONCAT(?, CONVERT(? USING utf8mb4))",
    };
    Expr::cust_with_exprs(rendered, [Expr::val(format!("{}:", of.tag())), column])
}

pub(super) fn value(spec: &KeySpec, place: usize, part: &KeyPart) -> Result<Expr, Error> {
    let Some(of) = spec.types.get(place) else {
        let message = format!("the key {spec} has {} columns, not more", spec.types.len());
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    of.check(spec, place, part)?;
    let KeyType { sql, form, .. } = of;
    let read = match form {
        KeyForm::Bytes => "UNHEX(?)".to_owned(),
        // The words are those of the catalogue: `CONVERT(? USING latin1) COLLATE latin1_swedish_ci`.
        KeyForm::Text | KeyForm::Ascii | KeyForm::Encoded => sql.clone(),
        KeyForm::Integer | KeyForm::Iso | KeyForm::Instant => format!("CAST(? AS {sql})"),
    };
    if sql.starts_with("DATE") && part.text.contains("-00") {
        // Such a date is NULL in a cast, and no row is greater than NULL.
        let message = format!(
            "the key of `{}` holds the date `{}`, which is none: mend such rows, or name another key with `.key(..)`",
            spec.table, part.text
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(Expr::cust_with_expr(read, Expr::val(part.text.as_str())))
}

fn values(spec: &KeySpec, key: &Key) -> Result<Vec<Expr>, Error> {
    if key.0.len() != spec.columns.len() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the key ({key}) has {} parts, the table's has {}", key.0.len(), spec.columns.len()),
        ));
    }
    key.0.iter().enumerate().map(|(place, part)| value(spec, place, part)).collect()
}

/// `a >= x AND (a > x OR (a = x AND b > y))`. A row value `(a, b) > (x, y)` would read the whole index.
pub(super) fn after(spec: &KeySpec, key: &Key) -> Result<Expr, Error> {
    bounded(spec, key, Expr::gt, Expr::gte, Expr::gt)
}

/// `a <= x AND (a < x OR (a = x AND b <= y))`, likewise.
pub(super) fn upto(spec: &KeySpec, key: &Key) -> Result<Expr, Error> {
    bounded(spec, key, Expr::lt, Expr::lte, Expr::lte)
}

/// The same without the key itself. InnoDB locks the row that tells a locking read that its range is over: up to and including
/// a key that is the first one of the next batch, which somebody else may have in hand.
pub(super) fn before(spec: &KeySpec, key: &Key) -> Result<Expr, Error> {
    bounded(spec, key, Expr::lt, Expr::lte, Expr::lt)
}

type Compare = fn(Expr, Expr) -> Expr;

fn bounded(spec: &KeySpec, key: &Key, beyond: Compare, within: Compare, last: Compare) -> Result<Expr, Error> {
    let values = values(spec, key)?;
    let parts = values.into_iter().enumerate().map(|(place, value)| (column(spec, place), value));
    let mut inner: Option<Expr> = None;
    for (place, (column, value)) in parts.enumerate().collect::<Vec<_>>().into_iter().rev() {
        let Some(rest) = inner else {
            inner = Some(last(column, value));
            continue;
        };
        let deeper = beyond(column.clone(), value.clone()).or(column.clone().eq(value.clone()).and(rest));
        inner = Some(if place == 0 { within(column, value).and(deeper) } else { deeper });
    }
    inner.ok_or_else(|| Error::new(ErrorKind::Unsupported, format!("the key {spec} has no columns")))
}

/// Each key by itself: MariaDB does not look row values of a list up in an index. The last one is repeated up to a power of
/// two, so that there are few texts to keep prepared.
pub(super) fn among(spec: &KeySpec, keys: &[Key]) -> Result<Expr, Error> {
    let filled = keys.len().next_power_of_two();
    let keys = keys.iter().chain(std::iter::repeat_n(keys.last(), filled).flatten()).take(filled);
    let keys = keys.map(|key| values(spec, key)).collect::<Result<Vec<_>, _>>()?;
    if spec.columns.len() == 1 {
        return Ok(column(spec, 0).is_in(keys.into_iter().flatten()));
    }
    let one = |key: Vec<Expr>| {
        let equal = key.into_iter().enumerate().map(|(place, value)| column(spec, place).eq(value));
        equal.reduce(ExprTrait::and)
    };
    Ok(halved(&keys.into_iter().filter_map(one).collect::<Vec<_>>()).unwrap_or_else(|| Expr::cust("1 = 0")))
}

/// All of them joined by OR, in a tree that is not deep.
fn halved(conditions: &[Expr]) -> Option<Expr> {
    match conditions {
        [] => None,
        [one] => Some(one.clone()),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            Some(halved(left)?.or(halved(right)?))
        }
    }
}
