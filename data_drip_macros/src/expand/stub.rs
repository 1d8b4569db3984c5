//! What stands in for a half that has mistakes: the rest of the crate type-checks, and one mistake is one error.

use proc_macro2::TokenStream;
use quote::quote;

use super::span::relocate;
use crate::model::Broken;

/// `impl Options` without options.
pub(crate) fn stub_options(broken: &Broken) -> TokenStream {
    let krate = &broken.target.krate;
    let cfgs = &broken.target.cfgs;
    let ident = relocate(&broken.self_ty);
    let (params, arguments, _) = broken.generics.split_for_impl();
    let bounds = bounds(broken, &quote!(Self: #krate::__private::Send + #krate::__private::Sync + 'static));
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #params #krate::__private::Options for #ident #arguments #bounds {
            const NAME: &'static str = "";

            fn parse(_: &mut #krate::__private::Input<'_>) -> #krate::__private::Option<Self> {
                #krate::__private::Option::None
            }
        }
    }
}

/// `impl Backfill` that is never run; its database is the scope's, so that calls on it are checked as they will be.
pub(crate) fn stub_body(broken: &Broken) -> TokenStream {
    let krate = &broken.target.krate;
    let cfgs = &broken.target.cfgs;
    let self_ty = relocate(&broken.self_ty);
    let (params, ..) = broken.generics.split_for_impl();
    let bounds = bounds(broken, &quote!(Self: #krate::__private::Options));
    let database = match &broken.scope {
        Some(scope) => {
            let scope = relocate(scope);
            quote!(<#scope as #krate::__private::IsScope>::Database)
        }
        None => quote!(#krate::__private::AnyDatabase),
    };
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #params #krate::__private::Backfill for #self_ty #bounds {
            type Database = #database;

            fn scope(&self) -> #krate::__private::Scope<Self::Database> {
                #krate::__private::stub()
            }

            fn process(
                &self,
                _: &mut #krate::__private::Batch<'_, Self::Database>,
                _: &#krate::__private::Context,
            ) -> impl #krate::__private::Future<Output = #krate::__private::Outcome> + #krate::__private::Send {
                async { #krate::__private::Result::Ok(()) }
            }
        }
    }
}

/// The item's own bounds; where it is generic, also what the trait asks of a type that is not.
fn bounds(broken: &Broken, more: &TokenStream) -> TokenStream {
    if broken.generics.params.is_empty() {
        return TokenStream::new();
    }
    let own = broken.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    quote!(where #(#own,)* #more)
}
