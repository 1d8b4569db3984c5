//! Keys on SQLite: rendered with their storage class, and bound back in the same one.
//!
//! A bound value has no affinity of its own, so that comparing it with the column applies the column's: the stored
//! value, which has been through that affinity, comes back as itself. A `CAST` would bring another one in.

use sea_query::{Alias, Expr, ExprTrait};

use crate::backend::KeySpec;
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyPart};

/// `typeof(c) || ':' || c`, bytes in hexadecimal; NULL for NULL.
pub(super) fn text(column: &str) -> Expr {
    let col = || Expr::col(Alias::new(column));
    Expr::cust_with_exprs(
        "CASE typeof(?) WHEN 'blob' THEN 'blob:' || hex(?) ELSE typeof(?) || ':' || ? END",
        [col(), col(), col(), col()],
    )
}

pub(super) fn value(part: &KeyPart) -> Result<Expr, Error> {
    let text = part.text.as_str();
    match part.tag.as_str() {
        "integer" => text.parse::<i64>().map(Expr::val).map_err(|source| unreadable(part).caused_by(source)),
        "text" => Ok(Expr::val(text)),
        "blob" => unhex(text).map(Expr::val).ok_or_else(|| unreadable(part)),
        "real" => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the key holds the floating-point number {text}, which cannot be named exactly: name another key with `.key(..)`"
            ),
        )),
        _ => Err(unreadable(part)),
    }
}

fn unreadable(part: &KeyPart) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{}:{}` is not a key of this database", part.tag, part.text))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Qualified: SQLite takes a quoted name that is no column for a string, unless a table stands before it. A key that is renamed
/// in the middle of a run would be compared as such, and its rows passed over.
fn columns(spec: &KeySpec) -> impl Iterator<Item = Expr> {
    spec.columns.iter().map(|column| Expr::col((Alias::new(&spec.table), Alias::new(column))))
}

/// The row value of the key columns, and of a key.
fn sides(spec: &KeySpec, key: &Key) -> Result<(Expr, Expr), Error> {
    let mut left: Vec<_> = columns(spec).collect();
    let mut right = key.0.iter().map(value).collect::<Result<Vec<_>, _>>()?;
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

/// Several columns as rows of `VALUES`: SQLite takes no list of row values.
pub(super) fn among(spec: &KeySpec, keys: &[Key]) -> Result<Expr, Error> {
    if spec.columns.len() == 1 {
        let values = keys.iter().flat_map(|key| &key.0).map(value).collect::<Result<Vec<_>, _>>()?;
        return Ok(Expr::tuple(columns(spec)).is_in(values));
    }
    let one = format!("({})", vec!["?"; spec.columns.len()].join(", "));
    let sql = format!("{one} IN (VALUES {})", vec![one.as_str(); keys.len()].join(", "));
    let names = columns(spec).map(Ok);
    let values = keys.iter().flat_map(|key| &key.0).map(value);
    Ok(Expr::cust_with_exprs(sql, names.chain(values).collect::<Result<Vec<_>, _>>()?))
}
