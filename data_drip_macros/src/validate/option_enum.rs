//! `#[derive(OptionEnum)]`.

use syn::{Data, DataEnum, DeriveInput, Fields};

use super::settings::{self, CRATE};
use crate::error::Errors;
use crate::model::{OptionEnum, Variant};
use crate::naming::{label, snake_case};
use crate::parse::{Keys, Known, description, take};

const ENUM_KEYS: Known = Known { attribute: "#[option]", keys: &[("crate", CRATE)] };

const VARIANT_KEYS: Known = Known {
    attribute: "#[option]",
    keys: &[("label", "label = \"The earlier one\""), ("rename", "rename = \"earlier\"")],
};

/// Resolves an enum; one with mistakes comes back without its variants, as a stub.
pub(crate) fn option_enum(input: &mut DeriveInput, errors: &mut Errors) -> OptionEnum {
    let lists = take(&mut input.attrs, "option", errors);
    let krate = settings::krate(&mut Keys::parse(lists, &ENUM_KEYS, errors), errors);
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "an enum that a form offers has no generics");
    }
    let mut variants = Vec::new();
    match &mut input.data {
        Data::Enum(item) => variants = all_variants(item, errors),
        Data::Struct(item) => errors.at(item.struct_token, NOT_AN_ENUM),
        Data::Union(item) => errors.at(item.union_token, NOT_AN_ENUM),
    }
    if variants.is_empty() && errors.is_empty() {
        errors.at(&input.ident, format!("`{}` has no variants, so there is nothing to choose: add one", input.ident));
    }
    if !errors.is_empty() {
        variants.clear();
    }
    OptionEnum { krate, ident: input.ident.clone(), variants }
}

const NOT_AN_ENUM: &str = "`OptionEnum` is derived for enums, whose variants a form offers: write `enum`";

fn all_variants(item: &mut DataEnum, errors: &mut Errors) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    for item in &mut item.variants {
        let variant = variant(item, errors);
        if let Some(earlier) = variants.iter().find(|earlier| earlier.value == variant.value) {
            let message = format!(
                "`{}` and `{}` are both stored as `{}`: give one of them `#[option(rename = \"…\")]`",
                earlier.ident, variant.ident, variant.value
            );
            errors.at(&item.ident, message);
        }
        variants.push(variant);
    }
    variants
}

fn variant(item: &mut syn::Variant, errors: &mut Errors) -> Variant {
    let lists = take(&mut item.attrs, "option", errors);
    let mut keys = Keys::parse(lists, &VARIANT_KEYS, errors);
    if !matches!(item.fields, Fields::Unit) {
        errors.at(&item.fields, format!("a form offers plain variants: write `{}` alone", item.ident));
    }
    let given = keys.take("label").and_then(|key| errors.ok(settings::label(&key)));
    let renamed = keys.take("rename").and_then(|key| errors.ok(settings::string(&key)));
    if let Some(text) = renamed.as_ref().filter(|text| text.value().trim().is_empty()) {
        errors.at(text, "a form sends blank text when nothing is chosen: give the variant another value");
    }
    Variant {
        label: given.or_else(|| first_paragraph(&description(&item.attrs))).unwrap_or_else(|| label(&item.ident)),
        value: renamed.map_or_else(|| snake_case(&item.ident), |text| text.value()),
        ident: item.ident.clone(),
    }
}

/// A doc comment's first paragraph on one line, without its full stop.
fn first_paragraph(doc: &str) -> Option<String> {
    let paragraph = doc.split("\n\n").next()?.replace('\n', " ");
    let text = paragraph.trim().trim_end_matches('.');
    (!text.is_empty()).then(|| text.to_owned())
}
