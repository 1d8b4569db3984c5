//! What every function of a backfill has in common: `&self`, async, arguments of known types.

use syn::{FnArg, ImplItemFn, ReceiverKind, ReturnType, Signature, Type};

use crate::error::Errors;
use crate::model::Function;
use crate::parse::conditional;

/// What a function has to look like.
pub(super) struct Role {
    /// How it is written, for messages.
    pub(super) wanted: String,
    /// What it is given before the arguments that may stand in any order.
    pub(super) fixed: &'static [&'static str],
}

/// An async function in its role; `None` when it cannot be called at all.
pub(super) fn function(item: &ImplItemFn, role: &Role, errors: &mut Errors) -> Option<Function> {
    let signature = &item.sig;
    refuse_conditional(item, errors);
    refuse_generics(signature, role, errors);
    receiver(signature, &role.wanted, errors);
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, format!("`{}` must be async: `{}`", signature.ident, role.wanted));
    }
    let mut arguments = arguments(signature);
    if arguments.len() < role.fixed.len() {
        let missing = role.fixed[arguments.len()..].join(" and ");
        let message = format!("`{}` is also given {missing}: `{}`", signature.ident, role.wanted);
        errors.at_span(signature.paren_token.span.join(), message);
        return None;
    }
    for ty in &arguments {
        refuse_opaque(ty, errors);
    }
    let further = arguments.split_off(role.fixed.len());
    Some(Function { ident: signature.ident.clone(), fixed: arguments, further, output: output(signature, errors)? })
}

/// That the function takes `&self`.
pub(super) fn receiver(signature: &Signature, wanted: &str, errors: &mut Errors) {
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else {
        let at = signature.paren_token.span.join();
        errors.at_span(at, format!("`{}` takes `&self` first: `{wanted}`", signature.ident));
        return;
    };
    if !matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) {
        errors.at(receiver, format!("`{}` takes `&self`: `{wanted}`", signature.ident));
    }
}

/// The types of the arguments after `self`.
pub(super) fn arguments(signature: &Signature) -> Vec<Type> {
    let typed = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(typed) => Some((*typed.ty).clone()),
        FnArg::Receiver(_) => None,
    });
    typed.collect()
}

pub(super) fn refuse_conditional(item: &ImplItemFn, errors: &mut Errors) {
    if let Some(attribute) = conditional(&item.attrs) {
        let message = format!(
            "`{}` is always called, so it cannot be conditional: put the `#[cfg]` inside it, or on both halves of the \
             backfill",
            item.sig.ident
        );
        errors.at(attribute, message);
    }
}

fn refuse_generics(signature: &Signature, role: &Role, errors: &mut Errors) {
    if !signature.generics.params.is_empty() {
        let message = format!("`{}` has no generics and names no lifetimes: `{}`", signature.ident, role.wanted);
        errors.at(&signature.generics, message);
    }
}

/// `impl Trait` says what the argument can do, not what it is.
fn refuse_opaque(ty: &Type, errors: &mut Errors) {
    match ty {
        Type::ImplTrait(_) => errors.at(ty, "write the type itself: what is given here is chosen by it"),
        Type::Reference(reference) => refuse_opaque(&reference.elem, errors),
        _ => {}
    }
}

fn output(signature: &Signature, errors: &mut Errors) -> Option<Type> {
    match &signature.output {
        // Spanned so that what is said about it stands on the function.
        ReturnType::Default => Some(Type::Tuple(syn::TypeTuple {
            attrs: Vec::new(),
            paren_token: syn::token::Paren(signature.ident.span()),
            elems: syn::punctuated::Punctuated::new(),
        })),
        ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)) => {
            errors.at(ty, "write the type itself: `()` or `Result<(), E>`");
            None
        }
        ReturnType::Type(_, ty) => Some((**ty).clone()),
    }
}

/// The function of this name; a second one is rustc's to refuse.
pub(super) fn find<'a>(functions: &[&'a ImplItemFn], name: &str) -> Option<&'a ImplItemFn> {
    functions.iter().copied().find(|item| item.sig.ident == name)
}

/// What `scope` returns.
pub(super) fn scope_return(item: &ImplItemFn, wanted: &str, errors: &mut Errors) -> Option<Type> {
    match &item.sig.output {
        ReturnType::Default => {
            errors.at_span(item.sig.ident.span(), format!("`scope` returns a `Scope`: `{wanted}`"));
            None
        }
        ReturnType::Type(_, ty) if is_no_scope(ty) => {
            errors.at(ty, format!("`scope` returns a `Scope` and nothing else: `{wanted}`"));
            None
        }
        ReturnType::Type(_, ty) => Some((**ty).clone()),
    }
}

/// Whether a type is known by its looks to be no scope. The trait would find out too, but at each place that needs the
/// database behind it. An alias of a host's own is taken when its name ends as the type's does.
fn is_no_scope(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_none_or(|last| !last.ident.to_string().ends_with("Scope")),
        Type::ImplTrait(_) | Type::Reference(_) | Type::Tuple(_) | Type::Array(_) => true,
        _ => false,
    }
}
