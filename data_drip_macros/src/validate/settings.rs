//! The keys of `#[backfill(…)]`.

use std::time::Duration;

use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Path};

use crate::error::Errors;
use crate::model::Settings;
use crate::naming::snake_case;
use crate::parse::{Key, Keys, Known};

pub(super) const STRUCT_KEYS: Known = Known {
    attribute: "#[backfill]",
    keys: &[
        ("name", "name = \"add_role\""),
        ("batch_size", "batch_size = 1_000"),
        ("sleep", "sleep = \"500ms\""),
        ("timeout", "timeout = \"30s\""),
        ("queue", "queue = \"slow\""),
        ("concurrency", "concurrency = 4"),
        ("max_attempts", "max_attempts = 3"),
        ("lock", "lock = none"),
        ("crate", CRATE),
    ],
};

pub(super) const CRATE: &str = "crate = ::data_drip";

/// The path of `data_drip`; the usual one where none is given, or a wrong one.
pub(crate) fn krate(keys: &mut Keys, errors: &mut Errors) -> Path {
    let given = keys.take("crate").and_then(|key| errors.ok(path(&key, "a path")));
    given.unwrap_or_else(|| syn::parse_quote!(::data_drip))
}

/// A path: of a module, of a function.
pub(super) fn path(key: &Key, wanted: &str) -> syn::Result<Path> {
    match key.value()? {
        Expr::Path(path) if path.qself.is_none() && path.attrs.is_empty() => Ok(path.path.clone()),
        _ => Err(key.refuse(wanted)),
    }
}

/// Text that somebody reads.
pub(super) fn label(key: &Key) -> syn::Result<String> {
    let text = string(key)?.value();
    if text.trim().is_empty() {
        Err(key.refuse("text to read; without it the name is shown, in words"))
    } else {
        Ok(text)
    }
}

/// Text.
pub(super) fn string(key: &Key) -> syn::Result<LitStr> {
    match key.value()? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        _ => Err(key.refuse("text")),
    }
}

pub(super) fn settings(keys: &mut Keys, errors: &mut Errors) -> Settings {
    Settings {
        batch_size: keys.take("batch_size").and_then(|key| errors.ok(positive(&key))),
        sleep: keys.take("sleep").and_then(|key| errors.ok(sleep(&key))),
        timeout: keys.take("timeout").and_then(|key| errors.ok(timeout(&key))),
        queue: keys.take("queue").and_then(|key| errors.ok(word(&key, "a queue's name"))),
        concurrency: keys.take("concurrency").and_then(|key| errors.ok(positive(&key))),
        max_attempts: keys.take("max_attempts").and_then(|key| errors.ok(positive(&key))),
        unlocked: keys.take("lock").and_then(|key| errors.ok(lock(&key))).is_some(),
    }
}

/// The name that runs are stored under; made of the type's where none is given.
pub(super) fn name(keys: &mut Keys, ident: &Ident, errors: &mut Errors) -> String {
    let given = keys.take("name").and_then(|key| errors.ok(word(&key, "a backfill's name")));
    given.unwrap_or_else(|| snake_case(ident))
}

/// Names end up in URLs, in indexed columns and in the environment.
fn word(key: &Key, what: &str) -> syn::Result<String> {
    let text = string(key)?;
    let value = text.value();
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ':');
    if value.is_empty() || value.chars().count() > 100 || !value.chars().all(fits) {
        let message = format!("{what} is 1 to 100 letters, digits, `_`, `-`, `.` or `:`");
        return Err(syn::Error::new_spanned(text, message));
    }
    Ok(value)
}

fn positive<N>(key: &Key) -> syn::Result<N>
where
    N: std::str::FromStr<Err: std::fmt::Display> + Default + PartialEq,
{
    let Expr::Lit(ExprLit { lit: Lit::Int(lit), .. }) = key.value()? else {
        return Err(key.refuse("a whole number from 1"));
    };
    let value: N =
        LitInt::base10_parse(lit).map_err(|error| syn::Error::new_spanned(lit, format!("`{}`: {error}", key.name)))?;
    if value == N::default() { Err(key.refuse("a whole number from 1")) } else { Ok(value) }
}

/// No longer than a run may ask for.
fn sleep(key: &Key) -> syn::Result<Duration> {
    let value = duration(key)?;
    if value > Duration::from_hours(24) { Err(key.refuse("at most a day")) } else { Ok(value) }
}

fn timeout(key: &Key) -> syn::Result<Duration> {
    let value = duration(key)?;
    if value.is_zero() { Err(key.refuse("more than no time at all")) } else { Ok(value) }
}

fn duration(key: &Key) -> syn::Result<Duration> {
    match key.value()? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            parse_duration(&text.value()).ok_or_else(|| refuse_duration(key))
        }
        _ => Err(refuse_duration(key)),
    }
}

fn refuse_duration(key: &Key) -> syn::Error {
    key.refuse("a whole number with its unit, `ms`, `s`, `m` or `h`")
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let milliseconds = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    // The engine stores milliseconds as signed 64 bits.
    let total = number.parse::<u64>().ok()?.checked_mul(milliseconds).filter(|total| i64::try_from(*total).is_ok())?;
    Some(Duration::from_millis(total))
}

fn lock(key: &Key) -> syn::Result<()> {
    match key.value()? {
        Expr::Path(path) if path.path.is_ident("none") => Ok(()),
        _ => Err(key.refuse("only `none`: rows are locked unless you say so")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        let millis = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("30 s"), Some(30_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("1h"), Some(3_600_000));
        for wrong in ["", "30", "s", "1.5s", "-1s", "1d", "9223372036854775807s", "1s2"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
