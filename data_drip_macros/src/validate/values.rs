//! Defaults and bounds: literals are checked here, expressions by rustc against the field's type.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprUnary, Lit, LitFloat, Type, UnOp};

use super::kinds::Kind;
use crate::error::Errors;
use crate::model::Value;
use crate::parse::Key;

/// A checked value; `number` where it is a literal, to be compared with its neighbours.
pub(super) struct Checked {
    pub(super) value: Value,
    pub(super) number: Option<f64>,
}

/// The value of `default`, `min` or `max` for a field of type `ty` (the type inside its `Option`).
pub(super) fn check(key: &Key, ty: &Type, errors: &mut Errors) -> Option<Checked> {
    let expr = errors.ok(key.value())?;
    let kind = Kind::of(ty);
    if let Some(message) = wrong_option(expr) {
        errors.at(expr, message);
        return None;
    }
    let literal = Literal::of(expr);
    if let Some(message) = literal.as_ref().and_then(|literal| misfit(&key.name, literal, &kind, ty)) {
        errors.at(expr, message);
        return None;
    }
    let number = literal.as_ref().and_then(Literal::number);
    let expr = match literal {
        Some(Literal { lit: Lit::Int(_), .. }) if kind == Kind::Float => as_float(expr),
        _ => expr.clone(),
    };
    Some(Checked { value: Value { expr, ty: ty.clone(), is_text: kind == Kind::Text }, number })
}

/// The field's `Option` is ours to put around the value.
fn wrong_option(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Path(path) if path.path.is_ident("None") => {
            Some("an `Option` that is not given is `None` already: leave `default` out")
        }
        Expr::Call(call) if matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Some")) => {
            Some("write the value alone, without `Some(…)`")
        }
        _ => None,
    }
}

/// A literal, with the minus in front of it.
struct Literal<'a> {
    negative: bool,
    lit: &'a Lit,
}

impl<'a> Literal<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        match expr {
            Expr::Lit(ExprLit { lit, .. }) => Some(Self { negative: false, lit }),
            Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => match &**expr {
                Expr::Lit(ExprLit { lit, .. }) => Some(Self { negative: true, lit }),
                _ => None,
            },
            Expr::Group(group) => Self::of(&group.expr),
            Expr::Paren(paren) => Self::of(&paren.expr),
            _ => None,
        }
    }

    fn integer(&self) -> Option<i128> {
        let Lit::Int(lit) = self.lit else { return None };
        let value: i128 = lit.base10_parse().ok()?;
        Some(if self.negative { -value } else { value })
    }

    fn number(&self) -> Option<f64> {
        let value: f64 = match self.lit {
            Lit::Int(lit) => lit.base10_parse().ok()?,
            Lit::Float(lit) => lit.base10_parse().ok()?,
            _ => return None,
        };
        Some(if self.negative { -value } else { value })
    }
}

/// Why a literal cannot be a value of this kind.
fn misfit(key: &impl ToTokens, literal: &Literal<'_>, kind: &Kind, ty: &Type) -> Option<String> {
    let key = key.to_token_stream();
    let name = ty.to_token_stream().to_string().replace(' ', "");
    let must_be = |what: &str| Some(format!("`{key}` of {} `{name}` option must be {what}", article(&name)));
    match (kind, literal.lit) {
        (Kind::Other, _)
        | (Kind::Text, Lit::Str(_))
        | (Kind::Bool, Lit::Bool(_))
        | (Kind::Float, Lit::Float(_) | Lit::Int(_)) => None,
        (Kind::Text, _) => must_be("text: `\"…\"`"),
        (Kind::Bool, _) => must_be("`true` or `false`"),
        (Kind::Float, _) => must_be("a number"),
        (Kind::Integer { min, max }, Lit::Int(_)) => match literal.integer() {
            Some(value) if (min..=max).contains(&&value) => None,
            _ => must_be(&format!("between {min} and {max}")),
        },
        (Kind::Integer { .. }, _) => must_be("a whole number"),
        (Kind::Decimal, _) => must_be("an expression of that type: `Decimal::new(15, 1)` is 1.5"),
        (Kind::Temporal { example }, _) => must_be(&format!("an expression of that type, like `{example}`")),
        (Kind::List, _) => must_be("a list: `vec![…]`"),
    }
}

pub(super) fn article(name: &str) -> &'static str {
    if name.starts_with(['a', 'e', 'i', 'o', 'f', 'A', 'E', 'I', 'O']) { "an" } else { "a" }
}

/// `5` for a float is as clear as `5.0`.
fn as_float(expr: &Expr) -> Expr {
    match expr {
        Expr::Lit(ExprLit { attrs, lit: Lit::Int(lit) }) if lit.suffix().is_empty() => {
            let lit = Lit::Float(LitFloat::new(&format!("{}.0", lit.base10_digits()), lit.span()));
            Expr::Lit(ExprLit { attrs: attrs.clone(), lit })
        }
        Expr::Unary(unary) => Expr::Unary(ExprUnary { expr: Box::new(as_float(&unary.expr)), ..unary.clone() }),
        Expr::Group(group) => as_float(&group.expr),
        Expr::Paren(paren) => as_float(&paren.expr),
        other => other.clone(),
    }
}

/// The bounds and the default must leave each other room, as far as they are literals.
pub(super) fn check_order(
    default: Option<&Checked>,
    min: Option<&Checked>,
    max: Option<&Checked>,
    errors: &mut Errors,
) {
    let literal = |checked: Option<&Checked>| checked.and_then(|checked| Some((checked.number?, span(checked))));
    let (default, min, max) = (literal(default), literal(min), literal(max));
    if let (Some((min, _)), Some((max, at))) = (min, max)
        && max < min
    {
        errors.at_span(at, format!("`max` {max} is less than `min` {min}: nothing lies between them"));
        return;
    }
    let Some((value, at)) = default else { return };
    if let Some((min, _)) = min
        && value < min
    {
        errors.at_span(at, format!("the default {value} is less than `min` {min}"));
    }
    if let Some((max, _)) = max
        && value > max
    {
        errors.at_span(at, format!("the default {value} is more than `max` {max}"));
    }
}

fn span(checked: &Checked) -> Span {
    checked.value.expr.span()
}
