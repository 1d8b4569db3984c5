//! What stands in for a half that has mistakes: the rest of the crate type-checks, and one mistake is one error.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Lifetime;
use syn::visit_mut::VisitMut;

use super::span::relocate;
use crate::model::Broken;

/// `impl Options` without options.
pub(crate) fn stub_options(broken: &Broken) -> TokenStream {
    let krate = &broken.target.krate;
    let cfgs = &broken.target.cfgs;
    let (params, self_ty, bounds) =
        header(broken, &quote!(#krate::__private::Send + #krate::__private::Sync + 'static));
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #params #krate::__private::Options for #self_ty #bounds {
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
    let (params, self_ty, bounds) = header(broken, &quote!(#krate::__private::Options));
    let scope = broken.scope.as_ref().map(relocate);
    let database = scope.map_or_else(
        || quote!(#krate::__private::AnyDatabase),
        |scope| quote!(<#scope as #krate::__private::IsScope>::Database),
    );
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

/// Generics, type and bounds of the impl. A lifetime is `'static` here: the traits ask for it, and with any other the
/// stub itself would be the twentieth error.
fn header(broken: &Broken, more: &TokenStream) -> (TokenStream, TokenStream, TokenStream) {
    let mut generics = broken.generics.clone();
    let mut self_ty = broken.self_ty.clone();
    StaticLifetimes.visit_type_mut(&mut self_ty);
    StaticLifetimes.visit_generics_mut(&mut generics);
    let params = generics.type_params();
    let constants = generics.const_params();
    let own = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let moved = relocate(&self_ty);
    let bounds = quote!(where #(#own,)* #moved: #more);
    (quote!(<#(#params,)* #(#constants),*>), moved, bounds)
}

struct StaticLifetimes;

impl VisitMut for StaticLifetimes {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'static", lifetime.span());
    }
}
