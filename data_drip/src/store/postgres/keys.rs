//! Keys on PostgreSQL: rendered as text that means the same whatever a session has set (`DateStyle`, `TimeZone`,
//! `bytea_output`), and bound back with a cast to the column's exact type, so that the column's own operators and its own
//! collation compare it.

use sea_query::{Alias, Expr, ExprTrait};

use crate::backend::{KeyForm, KeySpec, KeyType};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyPart};

/// `type:text`; NULL for NULL.
pub(super) fn text(spec: &KeySpec, place: usize) -> Expr {
    let column = Expr::col(Alias::new(&spec.columns[place]));
    let Some(of) = spec.types.get(place) else { return column };
    let rendered = match of.form {
        KeyForm::Text | KeyForm::Ascii | KeyForm::Integer => "$1 || CAST($2 AS text)",
        KeyForm::Bytes | KeyForm::Encoded => "$1 || upper(encode($2, 'hex'))",
        // JSON's dates are ISO 8601, with infinities and BC.
        KeyForm::Iso => "$1 || (to_jsonb($2) #>> '{}')",
        KeyForm::Instant => "$1 || (to_jsonb($2 AT TIME ZONE 'UTC') #>> '{}')",
    };
    Expr::cust_with_exprs(rendered, [Expr::val(format!("{}:", of.tag())), column])
}

/// The SQL that reads what `text` has rendered back from the SQL of that text. With the collation, so that who does not know yet
/// that the column has another one goes on in the order in which the run was planned.
fn read(KeyType { sql, form, collation, .. }: &KeyType, text: &str) -> String {
    if let Some(collation) = collation {
        return format!("CAST({text} AS {sql}) COLLATE {collation}");
    }
    match form {
        KeyForm::Text | KeyForm::Ascii | KeyForm::Integer | KeyForm::Iso => format!("CAST({text} AS {sql})"),
        KeyForm::Bytes | KeyForm::Encoded => format!("decode({text}, 'hex')"),
        KeyForm::Instant => format!("(CAST({text} AS timestamp without time zone) AT TIME ZONE 'UTC')"),
    }
}

fn type_at(spec: &KeySpec, place: usize) -> Result<&KeyType, Error> {
    spec.types.get(place).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("the key {spec} has {} columns, not more", spec.types.len()))
    })
}

pub(super) fn value(spec: &KeySpec, place: usize, part: &KeyPart) -> Result<Expr, Error> {
    let of = type_at(spec, place)?;
    of.check(spec, place, part)?;
    let value = match part.text.parse::<i64>() {
        // What is text only here would be read from it each time the statement is planned.
        Ok(number) if of.form == KeyForm::Integer => Expr::val(number),
        _ => Expr::val(part.text.as_str()),
    };
    Ok(Expr::cust_with_expr(read(of, "$1"), value))
}

/// The row value of the key columns, and of a key.
fn sides(spec: &KeySpec, key: &Key) -> Result<(Expr, Expr), Error> {
    let mut left: Vec<_> = spec.columns.iter().map(|column| Expr::col(Alias::new(column))).collect();
    let right = key.0.iter().enumerate().map(|(place, part)| value(spec, place, part));
    let mut right = right.collect::<Result<Vec<_>, _>>()?;
    if left.len() != right.len() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the key ({key}) has {} parts, the table's has {}", right.len(), left.len()),
        ));
    }
    if left.len() == 1 {
        return Ok((left.remove(0), right.remove(0)));
    }
    Ok((Expr::tuple(left), Expr::tuple(right)))
}

pub(super) fn after(spec: &KeySpec, key: &Key) -> Result<Expr, Error> {
    sides(spec, key).map(|(columns, key)| columns.gt(key))
}

pub(super) fn upto(spec: &KeySpec, key: &Key) -> Result<Expr, Error> {
    sides(spec, key).map(|(columns, key)| columns.lte(key))
}

/// All keys as one value, so that the statement is the same for any number of them. An array and not a sub-select where one
/// column is enough: each of its elements is looked up in the index, whatever the statistics say.
pub(super) fn among(spec: &KeySpec, keys: &[Key]) -> Result<Expr, Error> {
    let columns = spec.columns.iter().map(|column| Expr::col(Alias::new(column)));
    if spec.columns.len() == 1 {
        let texts: Vec<_> = keys.iter().flat_map(Key::values).collect();
        let one = read(type_at(spec, 0)?, "one");
        let sql = format!("$1 = ANY (ARRAY(SELECT {one} FROM jsonb_array_elements_text(CAST($2 AS jsonb)) AS one))");
        return Ok(Expr::cust_with_exprs(sql, columns.chain([json(&texts)])));
    }
    let texts: Vec<Vec<_>> = keys.iter().map(|key| key.values().collect()).collect();
    let parts = (0..spec.columns.len()).map(|place| Ok(read(type_at(spec, place)?, &format!("(one ->> {place})"))));
    let parts = parts.collect::<Result<Vec<_>, Error>>()?.join(", ");
    let sql = format!("$1 IN (SELECT {parts} FROM jsonb_array_elements(CAST($2 AS jsonb)) AS one)");
    Ok(Expr::cust_with_exprs(sql, [Expr::tuple(columns), json(&texts)]))
}

fn json<T: serde::Serialize>(texts: &[T]) -> Expr {
    Expr::val(crate::store::json_list(texts))
}
