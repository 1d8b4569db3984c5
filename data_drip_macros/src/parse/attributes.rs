//! Attributes of the user's item: those that are ours are taken out, the others are read or left alone.

use proc_macro2::TokenStream;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, MetaNameValue, Token};

use crate::error::Errors;

/// Takes the `#[name(…)]` attributes out and returns what stands in their parentheses.
pub(crate) fn take(attributes: &mut Vec<Attribute>, name: &str, errors: &mut Errors) -> Vec<TokenStream> {
    let mut taken = Vec::new();
    attributes.retain(|attribute| {
        let ours = attribute.path().is_ident(name);
        if ours {
            match &attribute.meta {
                Meta::List(list) => taken.push(list.tokens.clone()),
                other => errors.at(other, format!("write `#[{name}(…)]`, with its keys in the parentheses")),
            }
        }
        !ours
    });
    taken
}

/// Takes a second `#[backfill]` out, which would expand once more and collide with what the first one emits.
pub(crate) fn refuse_twice(attributes: &mut Vec<Attribute>, errors: &mut Errors) {
    attributes.retain(|attribute| {
        let again = attribute.path().segments.last().is_some_and(|last| last.ident == "backfill");
        if again {
            errors.at(attribute, "`#[backfill]` stands here twice: keep one");
        }
        !again
    });
}

/// The doc comment as text: what people read in the dashboard.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(doc).collect();
    let text = lines.join("\n");
    text.lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .into()
}

fn doc(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(MetaNameValue { path, value: Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), .. })
            if path.is_ident("doc") =>
        {
            Some(text.value())
        }
        _ => None,
    }
}

/// The `#[cfg]`s, to stand on generated items too.
pub(crate) fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The first attribute that makes an item conditional.
pub(crate) fn conditional(attributes: &[Attribute]) -> Option<&Attribute> {
    attributes.iter().find(|attribute| {
        let path = attribute.path();
        path.is_ident("cfg")
            || (path.is_ident("cfg_attr") && attribute.parse_args_with(mentions_option).unwrap_or(false))
    })
}

/// Whether a `cfg_attr` would add one of our own attributes, which is too late to be seen.
fn mentions_option(input: syn::parse::ParseStream<'_>) -> syn::Result<bool> {
    let metas = input.call(syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated)?;
    Ok(metas.iter().skip(1).any(|meta| meta.path().is_ident("option") || meta.path().is_ident("cfg")))
}
