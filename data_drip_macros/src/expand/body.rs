//! The impl half: `impl Backfill`, which calls the user's functions with what their arguments ask for.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, ImplItem, ItemImpl, Path, Type, parse_quote};

use super::span::{located, private, relocate, shown_at};
use crate::model::{Body, Function, Hook, Process};

pub(crate) fn body(model: &Body) -> TokenStream {
    let krate = &model.target.krate;
    let cfgs = &model.target.cfgs;
    let self_ty = relocate(&model.self_ty);
    let returned = relocate(&model.scope);
    let private = private(krate, model.scope.span());
    let is_scope = quote_spanned!(located(model.scope.span())=> <#returned as #private::IsScope>);
    // Said everywhere in the same tokens: rustc reports the same mistake at the same place once.
    let into_scope = quote_spanned!(located(model.scope.span())=> #is_scope::into_scope(Self::scope(self)));
    let database = quote_spanned!(located(model.scope.span())=> #is_scope::Database);
    // As a bound, a missing struct half is one error, and not one for each function that needs it.
    let struct_half = struct_half(krate, model);
    let mode = match model.process {
        Process::Batch(_) => quote!(Batch),
        Process::Element(_) => quote!(Element),
    };
    let states = states(krate, model);
    let process = process(krate, &model.process, &database);
    let before_run = model.before_run.as_ref().map(|function| before_run(krate, function, &database));
    let hooks = hooks(krate, &model.hooks);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::__private::Backfill for #self_ty
        where
            #struct_half
        {
            type Database = #database;
            const MODE: #krate::__private::Mode = #krate::__private::Mode::#mode;

            fn scope(&self) -> #krate::__private::Scope<#database> {
                #into_scope
            }

            #states
            #process
            #before_run
            #hooks
        }
    }
}

/// Takes the user's functions out of those lints that question what we prescribe: `&self`, `async`, arguments by value.
pub(crate) fn excuse(model: &Body, item: &mut ItemImpl) {
    let hooks = model.hooks.iter().map(|hook| &hook.function);
    let functions = std::iter::once(model.process.function()).chain(&model.before_run).chain(hooks);
    let prescribed: Vec<_> = functions.map(|function| &function.ident).collect();
    for item in &mut item.items {
        if let ImplItem::Fn(item) = item
            && (item.sig.ident == "scope" || prescribed.contains(&&item.sig.ident))
        {
            let allowed: Attribute = parse_quote! {
                #[allow(
                    clippy::needless_pass_by_value,
                    clippy::trivially_copy_pass_by_ref,
                    clippy::unused_async,
                    clippy::unused_self,
                )]
            };
            item.attrs.push(allowed);
        }
    }
}

fn struct_half(krate: &Path, model: &Body) -> TokenStream {
    let self_ty = relocate(&model.self_ty);
    let private = private(krate, model.self_ty.span());
    quote_spanned!(located(model.self_ty.span())=> #self_ty: #private::Options)
}

fn states(krate: &Path, model: &Body) -> TokenStream {
    let hooks = model.hooks.iter().map(|hook| &hook.function);
    let functions = std::iter::once(model.process.function()).chain(&model.before_run).chain(hooks);
    let asked: Vec<TokenStream> = functions
        .flat_map(|function| &function.further)
        .map(|ty| ask(krate, ty, &quote!(ContextArgument<'_>), quote!(state())))
        .collect();
    if asked.is_empty() {
        return TokenStream::new();
    }
    quote! {
        fn states() -> #krate::__private::Vec<#krate::__private::StateType> {
            #krate::__private::states([#(#asked),*])
        }
    }
}

/// `<&mut Batch<'_> as BatchArgument<…>>::from_batch(batch)`: asks the argument's type, as the user wrote it, for a value,
/// and is shown there.
fn ask(krate: &Path, ty: &Type, bound: &TokenStream, method: TokenStream) -> TokenStream {
    let at = ty.span();
    let moved = relocate(ty);
    let bound = shown_at(at, quote!(#krate::__private::#bound));
    let method = shown_at(at, method);
    quote_spanned!(located(at)=> <#moved as #bound>::#method)
}

fn run(krate: &Path, ty: &Type) -> TokenStream {
    ask(krate, ty, &quote!(RunArgument<'_>), quote!(from_run(run)))
}

fn connection(krate: &Path, ty: &Type, database: &TokenStream, given: &TokenStream) -> TokenStream {
    ask(krate, ty, &quote!(ConnectionArgument<'_, #database>), quote!(from_connection(#given)))
}

fn process(krate: &Path, process: &Process, database: &TokenStream) -> TokenStream {
    let function = process.function();
    let steps = match process {
        Process::Batch(function) => {
            let asked = quote!(BatchArgument<'_, '_, #database>);
            let batch = ask(krate, &function.fixed[0], &asked, quote!(from_batch(batch)));
            let called = call(krate, function, &[batch]);
            outcome(krate, function, &called)
        }
        Process::Element(function) => elements(krate, function, database),
    };
    let body = future(krate, function, &steps);
    quote! {
        fn process(
            &self,
            batch: &mut #krate::__private::Batch<'_, #database>,
            context: &#krate::__private::Context,
        ) -> #body
    }
}

fn elements(krate: &Path, function: &Function, database: &TokenStream) -> TokenStream {
    let rows = ask(krate, &function.fixed[0], &quote!(RowArgument<#database>), quote!(elements(batch)));
    let conn = connection(krate, &function.fixed[1], database, &quote!(batch.conn()));
    let called = call(krate, function, &[quote!(element.row), conn]);
    let outcome = outcome(krate, function, &called);
    quote! {
        for element in #rows.await? {
            let outcome = #outcome;
            if let #krate::__private::Result::Err(failure) = outcome {
                return #krate::__private::Result::Err(#krate::__private::row_failed(failure, &element.key));
            }
        }
        #krate::__private::Result::Ok(())
    }
}

fn before_run(krate: &Path, function: &Function, database: &TokenStream) -> TokenStream {
    let run = run(krate, &function.fixed[0]);
    let conn = connection(krate, &function.fixed[1], database, &quote!(conn));
    let called = call(krate, function, &[run, conn]);
    let body = future(krate, function, &outcome(krate, function, &called));
    quote! {
        fn before_run(
            &self,
            run: &#krate::__private::Run,
            conn: &mut #krate::__private::Connection<#database>,
            context: &#krate::__private::Context,
        ) -> #body
    }
}

fn hooks(krate: &Path, hooks: &[Hook]) -> TokenStream {
    if hooks.is_empty() {
        return TokenStream::new();
    }
    let variants = hooks.iter().map(|hook| &hook.variant);
    let arms = hooks.iter().map(|hook| hook_arm(krate, hook));
    quote! {
        const HOOKS: &'static [#krate::__private::Hook] = &[#(#krate::__private::Hook::#variants),*];

        fn on_hook(
            &self,
            hook: #krate::__private::Hook,
            run: &#krate::__private::Run,
            batch: #krate::__private::Option<&#krate::__private::RunBatch>,
            context: &#krate::__private::Context,
        ) -> impl #krate::__private::Future<Output = #krate::__private::Outcome> + #krate::__private::Send {
            async move {
                let _ = (run, batch, context);
                match (hook, batch) {
                    #(#arms)*
                    _ => #krate::__private::Result::Ok(()),
                }
            }
        }
    }
}

fn hook_arm(krate: &Path, hook: &Hook) -> TokenStream {
    let variant = &hook.variant;
    let outcome = hook_call(krate, hook);
    let batch = if hook.on_batch { quote!(#krate::__private::Option::Some(batch)) } else { quote!(_) };
    quote!((#krate::__private::Hook::#variant, #batch) => #outcome,)
}

fn hook_call(krate: &Path, hook: &Hook) -> TokenStream {
    let function = &hook.function;
    let mut given = vec![run(krate, &function.fixed[0])];
    if let Some(ty) = function.fixed.get(1) {
        given.push(ask(krate, ty, &quote!(RunBatchArgument<'_>), quote!(from_run_batch(batch))));
    }
    outcome(krate, function, &call(krate, function, &given))
}

/// The user's function, with its further arguments taken out of the context.
fn call(krate: &Path, function: &Function, fixed: &[TokenStream]) -> TokenStream {
    let further =
        function.further.iter().map(|ty| ask(krate, ty, &quote!(ContextArgument<'_>), quote!(from_context(context))));
    let ident = relocate(&function.ident);
    let given = fixed.iter().cloned().chain(further);
    quote_spanned!(located(function.ident.span())=> Self::#ident(self, #(#given),*).await)
}

/// Whatever it returned, as the result the engine works with.
fn outcome(krate: &Path, function: &Function, called: &TokenStream) -> TokenStream {
    let output = relocate(&function.output);
    let private = private(krate, function.output.span());
    let into = quote_spanned!(located(function.output.span())=> <#output as #private::IntoOutcome>::into_outcome);
    quote!(#into(#called))
}

/// A future whose `Send` is checked, and reported, at the user's function.
fn future(krate: &Path, function: &Function, steps: &TokenStream) -> TokenStream {
    let context = function.further.is_empty().then(|| quote!(let _ = context;));
    let span = located(function.ident.span());
    let private = private(krate, function.ident.span());
    let returned = quote_spanned!(span=> impl #private::Future<Output = #private::Outcome> + #private::Send);
    let block = quote_spanned!(span=> async move { #context #steps });
    quote!(#returned { #block })
}
