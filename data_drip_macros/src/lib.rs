//! The macros of `data_drip`, which re-exports them: depend on that crate, not on this one.
//!
//! A reader's map, bottom to top; a file imports only lower ones:
//!
//! - `error`, `suggest`, `naming`: mistakes collected, "did you mean", names made from identifiers
//! - `model`: what an item means, once resolved
//! - `parse/`: tokens to raw attributes and keys
//! - `validate/`: raw attributes to the model; every refusal
//! - `expand/`: the model to tokens; a stub where there were mistakes
//! - here: one entry point for each macro

#![forbid(unsafe_code)]

mod error;
mod expand;
mod model;
mod naming;
mod parse;
mod suggest;
mod validate;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Item, ItemImpl, ItemStruct, parse_macro_input};

use crate::error::Errors;

/// Makes a struct and its `impl` a backfill.
#[proc_macro_attribute]
pub fn backfill(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let arguments = TokenStream::from(arguments);
    let expanded = match parse_macro_input!(item as Item) {
        Item::Struct(item) => struct_half(arguments, item),
        Item::Impl(item) if item.trait_.is_none() => impl_half(arguments, &item),
        other => refuse(&other),
    };
    expanded.into()
}

/// Makes an enum of plain variants an option: a form offers one of them, or any of them for a `Vec`.
#[proc_macro_derive(OptionEnum, attributes(option))]
pub fn option_enum(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let mut item = parse_macro_input!(item as DeriveInput);
    let mut errors = Errors::default();
    let model = validate::option_enum(&mut item, &mut errors);
    let generated = if item.generics.params.is_empty() { expand::option_enum(&model) } else { TokenStream::new() };
    let errors = errors.into_compile_errors();
    quote!(#generated #errors).into()
}

/// The user's item is always there again, so that editors and the rest of the crate keep working.
fn struct_half(arguments: TokenStream, mut item: ItemStruct) -> TokenStream {
    let mut errors = Errors::default();
    let generated = match validate::options(arguments, &mut item, &mut errors) {
        Ok(model) => expand::options(&model),
        Err(broken) => expand::stub_options(&broken),
    };
    let errors = errors.into_compile_errors();
    quote!(#item #generated #errors)
}

fn impl_half(arguments: TokenStream, item: &ItemImpl) -> TokenStream {
    let mut errors = Errors::default();
    let generated = match validate::body(arguments, item, &mut errors) {
        Ok(model) => expand::body(&model),
        Err(broken) => expand::stub_body(&broken),
    };
    let errors = errors.into_compile_errors();
    quote!(#item #generated #errors)
}

fn refuse(item: &Item) -> TokenStream {
    let (at, what): (TokenStream, _) = match item {
        Item::Enum(item) => (item.enum_token.to_token_stream(), "an enum"),
        Item::Union(item) => (item.union_token.to_token_stream(), "a union"),
        Item::Fn(item) => (item.sig.fn_token.to_token_stream(), "a function"),
        Item::Mod(item) => (item.mod_token.to_token_stream(), "a module"),
        Item::Trait(item) => (item.trait_token.to_token_stream(), "a trait"),
        Item::Impl(item) => (
            item.trait_.as_ref().map_or_else(TokenStream::new, |(path, _)| path.to_token_stream()),
            "the impl of a trait",
        ),
        other => (other.to_token_stream(), "this item"),
    };
    let mend = match item {
        Item::Impl(_) => "move it to `impl TheStruct { … }`, or leave it out here: an impl written by hand needs none",
        _ => "write `struct` for the options and `impl` for `scope` and the processing function",
    };
    let mut errors = Errors::default();
    errors.at(at, format!("`#[backfill]` stands on a struct and on its inherent impl, not on {what}: {mend}"));
    let errors = errors.into_compile_errors();
    quote!(#item #errors)
}
