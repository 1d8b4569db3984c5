//! The struct half.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Fields, ItemStruct, Type};

use super::kinds::{Kind, inside_option};
use super::settings;
use super::values::{self, Checked};
use crate::error::Errors;
use crate::model::{Broken, Field, Options, Target};
use crate::parse::{Key, Keys, Known, cfgs, conditional, description, refuse_twice, take};

const OPTION_KEYS: Known = Known {
    attribute: "#[option]",
    keys: &[
        ("default", "default = 18"),
        ("label", "label = \"Least age\""),
        ("min", "min = 0"),
        ("max", "max = 150"),
        ("choices", "choices = departments"),
        ("masked", "masked"),
    ],
};

/// Resolves a struct, of which it takes the attributes that are ours out.
pub(crate) fn options(
    arguments: TokenStream,
    item: &mut ItemStruct,
    errors: &mut Errors,
) -> Result<Options, Box<Broken>> {
    let mut keys = Keys::parse([arguments], &settings::STRUCT_KEYS, errors);
    let target = Target { krate: settings::krate(&mut keys, errors), cfgs: cfgs(&item.attrs) };
    refuse_twice(&mut item.attrs, errors);
    refuse_shape(item, errors);
    let fields = item.fields.iter_mut().filter_map(|item| field(item, errors)).collect();
    let options = Options {
        name: settings::name(&mut keys, &item.ident, errors),
        settings: settings::settings(&mut keys, errors),
        description: description(&item.attrs),
        ident: item.ident.clone(),
        fields,
        target,
    };
    if errors.is_empty() {
        return Ok(options);
    }
    let (_, arguments, _) = item.generics.split_for_impl();
    let ident = &item.ident;
    let self_ty = syn::parse_quote!(#ident #arguments);
    Err(Box::new(Broken { target: options.target, self_ty, generics: item.generics.clone(), scope: None }))
}

fn refuse_shape(item: &ItemStruct, errors: &mut Errors) {
    if !item.generics.params.is_empty() {
        let message = format!(
            "a backfill has no generics or lifetimes: it is registered once, by name, and built from a form; \
             write `struct {}` with the types that it is about",
            item.ident
        );
        errors.at(&item.generics, message);
    } else if let Some(clause) = &item.generics.where_clause {
        errors.at(clause, "a backfill has no generics, so there is nothing to bound: leave the `where` out");
    }
    if let Fields::Unnamed(fields) = &item.fields {
        let message = format!(
            "the fields of a backfill are its options, and these have no names: write `struct {} {{ name: Type, … }}`",
            item.ident
        );
        errors.at(fields, message);
    }
}

fn field(item: &mut syn::Field, errors: &mut Errors) -> Option<Field> {
    let lists = take(&mut item.attrs, "option", errors);
    let mut keys = Keys::parse(lists, &OPTION_KEYS, errors);
    let ident = item.ident.clone()?;
    refuse_struct_attribute(&mut item.attrs, errors);
    if let Some(attribute) = conditional(&item.attrs) {
        errors.at(
            attribute,
            "an option cannot be conditional: a stored run must mean the same in every build; put the `#[cfg]` on the \
             whole struct, or leave it out",
        );
    }
    refuse_type(&item.ty, errors);
    let plain = inside_option(&item.ty).unwrap_or(&item.ty).clone();
    let default = keys.take("default").and_then(|key| values::check(&key, &plain, errors));
    let min = keys.take("min").and_then(|key| bound(&key, &plain, errors));
    let max = keys.take("max").and_then(|key| bound(&key, &plain, errors));
    values::check_order(default.as_ref(), min.as_ref(), max.as_ref(), errors);
    let value = |checked: Option<Checked>| checked.map(|checked| checked.value);
    Some(Field {
        name: ident.unraw().to_string(),
        ident,
        help: description(&item.attrs),
        label: keys.take("label").and_then(|key| errors.ok(settings::label(&key))),
        default: value(default),
        min: value(min),
        max: value(max),
        choices: keys.take("choices").and_then(|key| choices(&key, &plain, errors)),
        masked: keys.take("masked").and_then(|key| errors.ok(key.word())).is_some(),
        ty: item.ty.clone(),
    })
}

/// On a field it would expand by itself, as if the field were a struct.
fn refuse_struct_attribute(attributes: &mut Vec<syn::Attribute>, errors: &mut Errors) {
    attributes.retain(|attribute| {
        let ours = attribute.path().segments.last().is_some_and(|last| last.ident == "backfill");
        if ours {
            errors.at(attribute, "what is said about a field stands in `#[option(…)]`");
        }
        !ours
    });
}

/// What the type checker would refuse with less to say.
fn refuse_type(ty: &Type, errors: &mut Errors) {
    match ty {
        Type::Reference(_) => errors.at(ty, "an option owns its value: write `String` for text"),
        _ if inside_option(ty).and_then(inside_option).is_some() => {
            errors.at(ty, "an option is given or it is not: one `Option` is enough");
        }
        _ => {}
    }
}

fn bound(key: &Key, ty: &Type, errors: &mut Errors) -> Option<Checked> {
    match Kind::of(ty) {
        Kind::Integer { .. } | Kind::Float | Kind::Decimal | Kind::Other => values::check(key, ty, errors),
        _ => {
            let name = ty.to_token_stream().to_string().replace(' ', "");
            errors.at(&key.name, format!("`{}` bounds numbers, and `{name}` is none: leave it out", key.name));
            None
        }
    }
}

fn choices(key: &Key, ty: &Type, errors: &mut Errors) -> Option<syn::Path> {
    if matches!(Kind::of(ty), Kind::Bool | Kind::List) {
        let name = ty.to_token_stream().to_string().replace(' ', "");
        errors.at(
            &key.name,
            format!("`choices` reads the values of one choice, which {} `{name}` is not", values::article(&name)),
        );
        return None;
    }
    let fixed = "the name of an async function, which reads the values; a fixed list is an enum with \
                 `#[derive(OptionEnum)]`";
    errors.ok(settings::path(key, fixed))
}
