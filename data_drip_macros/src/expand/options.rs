//! The struct half: `impl Options`, and the entry in the registry.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path};

use super::span::{located, private, relocate};
use crate::model::{Field, Options, Settings, Value};

pub(crate) fn options(model: &Options) -> TokenStream {
    let krate = &model.target.krate;
    let cfgs = &model.target.cfgs;
    let ident = Ident::new(&model.ident.to_string(), located(model.ident.span()));
    let (name, description) = (&model.name, &model.description);
    let settings = settings(krate, &model.settings);
    let fields = model.fields.iter().map(|option| field(krate, option));
    let parse = parse(krate, &model.fields);
    let values = values(krate, &model.fields);
    let choices = choices(krate, &model.fields);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::__private::Options for #ident {
            const NAME: &'static str = #name;
            const DESCRIPTION: &'static str = #description;
            #settings

            fn fields() -> #krate::__private::Vec<#krate::__private::Field> {
                #krate::__private::Vec::from([#(#fields),*])
            }

            #parse
            #values
            #choices
        }

        #(#cfgs)*
        const _: () = {
            #[#krate::__private::linkme::distributed_slice(#krate::__private::BACKFILLS)]
            #[linkme(crate = #krate::__private::linkme)]
            static ENTRY: #krate::__private::Entry = #krate::__private::Entry::of::<#ident>();
        };
    }
}

/// Only what was said: the rest is the builder's or the environment's to decide.
fn settings(krate: &Path, settings: &Settings) -> TokenStream {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut said = Vec::new();
    let mut say = |name: &str, value: Option<TokenStream>| {
        let name = format_ident!("{name}");
        said.extend(value.map(|value| quote!(settings.#name = #value;)));
    };
    let some = |value: TokenStream| quote!(#krate::__private::Option::Some(#value));
    say("batch_size", settings.batch_size.map(|n| some(quote!(#n))));
    say("sleep_ms", settings.sleep.map(millis).map(|n| some(quote!(#n))));
    say("timeout_ms", settings.timeout.map(millis).map(|n| some(quote!(#n))));
    say("queue", settings.queue.as_ref().map(|text| some(quote!(#text))));
    say("concurrency", settings.concurrency.map(|n| some(quote!(#n))));
    say("max_attempts", settings.max_attempts.map(|n| quote!(#n)));
    say("lock", settings.unlocked.then(|| quote!(false)));
    if said.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const SETTINGS: #krate::__private::Settings = {
            let mut settings = #krate::__private::Settings::DEFAULT;
            #(#said)*
            settings
        };
    }
}

/// All calls on an option's type have one form, so that rustc reports a wrong type once.
fn option_value(krate: &Path, field: &Field) -> TokenStream {
    let ty = relocate(&field.ty);
    let private = private(krate, field.ty.span());
    quote_spanned!(located(field.ty.span())=> <#ty as #private::OptionValue>)
}

fn field(krate: &Path, field: &Field) -> TokenStream {
    let name = &field.name;
    let ty = option_value(krate, field);
    let help = Some(&field.help).filter(|help| !help.is_empty()).map(|help| quote!(.help(#help)));
    let label = field.label.as_ref().map(|label| quote!(.label(#label)));
    let default = field.default.as_ref().map(|it| call(krate, "default", it));
    let min = field.min.as_ref().map(|it| call(krate, "min", it));
    let max = field.max.as_ref().map(|it| call(krate, "max", it));
    let choices = field.choices.as_ref().map(|_| quote!(.with_choices()));
    let masked = field.masked.then(|| quote!(.masked()));
    quote!(#ty::field(#name) #label #help #default #min #max #choices #masked)
}

fn call(krate: &Path, method: &str, argument: &Value) -> TokenStream {
    let method = Ident::new(method, located(argument.expr.span()));
    let argument = value(krate, argument);
    quote!(.#method(#argument))
}

/// An expression with its type said, so that rustc's "expected `i64`" stands on it.
fn value(krate: &Path, value: &Value) -> TokenStream {
    let Value { expr, ty, is_text } = value;
    let private = private(krate, expr.span());
    if *is_text {
        return quote_spanned!(located(expr.span())=> #private::Text::into_text(#expr));
    }
    quote_spanned!(located(expr.span())=> { let value: #ty = #expr; value })
}

/// Every option is taken before the first refused one ends it: a form shows all its errors at once.
fn parse(krate: &Path, fields: &[Field]) -> TokenStream {
    let locals: Vec<Ident> =
        (0..fields.len()).map(|i| Ident::new(&format!("option_{i}"), Span::mixed_site())).collect();
    let idents = fields.iter().map(|field| &field.ident);
    let takes = fields.iter().zip(&locals).map(|(field, local)| {
        let name = &field.name;
        let ty = option_value(krate, field);
        quote!(let #local = #ty::take(input, #name);)
    });
    let input = if fields.is_empty() { quote!(_) } else { quote!(input) };
    quote! {
        fn parse(#input: &mut #krate::__private::Input<'_>) -> #krate::__private::Option<Self> {
            #(#takes)*
            #krate::__private::Option::Some(Self { #(#idents: #locals?),* })
        }
    }
}

fn values(krate: &Path, fields: &[Field]) -> TokenStream {
    let pairs = fields.iter().map(|field| {
        let (name, ident) = (&field.name, &field.ident);
        let ty = option_value(krate, field);
        quote!((#name, #ty::to_json(&self.#ident)))
    });
    quote! {
        fn values(&self) -> #krate::__private::Values {
            #krate::__private::values([#(#pairs),*])
        }
    }
}

fn choices(krate: &Path, fields: &[Field]) -> TokenStream {
    let arms: Vec<TokenStream> = fields
        .iter()
        .filter_map(|field| {
            let (name, path) = (&field.name, field.choices.as_ref()?);
            let moved = relocate(path);
            let called = quote_spanned!(located(path.span())=> #moved(conn).await);
            let private = private(krate, path.span());
            let into = quote_spanned!(located(path.span())=> #private::IntoChoices::into_choices(#called));
            Some(quote! {
                #name => #krate::__private::Box::pin(async move { #into.map(#krate::__private::Option::Some) }),
            })
        })
        .collect();
    if arms.is_empty() {
        return TokenStream::new();
    }
    quote! {
        fn choices<'c>(
            field: &'c str,
            conn: &'c mut #krate::__private::ConnectionOf<Self>,
        ) -> #krate::__private::BoxFuture<
            'c,
            #krate::__private::Outcome<#krate::__private::Option<#krate::__private::Vec<#krate::__private::Choice>>>,
        > {
            match field {
                #(#arms)*
                _ => #krate::__private::no_choices(),
            }
        }
    }
}
