//! The impl half: which function plays which role.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident};
use syn::{Ident, ImplItem, ImplItemFn, ItemImpl, PathArguments, Type};

use super::functions::{self, Role, find};
use super::settings;
use crate::error::Errors;
use crate::model::{Body, Broken, Function, Hook, Process, Target};
use crate::parse::{Keys, cfgs, refuse_twice};
use crate::suggest::did_you_mean;

const SCOPE: &str = "fn scope(&self) -> Scope";
const BATCH: &str = "process_batch";
const ELEMENT: &str = "process_element";
const BEFORE_RUN: &str = "before_run";
const RUN_STATUSES: [&str; 7] = ["pending", "enqueued", "running", "paused", "completed", "failed", "stopped"];
const BATCH_STATUSES: [&str; 5] = ["pending", "running", "completed", "failed", "stopped"];

/// Resolves an inherent impl.
pub(crate) fn body(arguments: TokenStream, item: &mut ItemImpl, errors: &mut Errors) -> Result<Body, Box<Broken>> {
    let target = Target { krate: krate(arguments, errors), cfgs: cfgs(&item.attrs) };
    refuse_twice(&mut item.attrs, errors);
    refuse_shape(item, errors);
    let functions: Vec<&ImplItemFn> = item
        .items
        .iter()
        .filter_map(|item| match item {
            ImplItem::Fn(function) => Some(function),
            _ => None,
        })
        .collect();
    let scope = scope(&item.self_ty, &functions, errors);
    let process = process(&item.self_ty, &functions, errors);
    let before_run =
        find(&functions, BEFORE_RUN).and_then(|item| functions::function(item, &before_run_role(), errors));
    let hooks = hooks(&functions, errors);
    match (scope, process) {
        (Some(scope), Some(process)) if errors.is_empty() => {
            Ok(Body { target, self_ty: (*item.self_ty).clone(), scope, process, before_run, hooks })
        }
        (scope, _) => {
            Err(Box::new(Broken { target, self_ty: (*item.self_ty).clone(), generics: item.generics.clone(), scope }))
        }
    }
}

/// The struct's keys are known here too, to say where they belong.
fn krate(arguments: TokenStream, errors: &mut Errors) -> syn::Path {
    let mut keys = Keys::parse([arguments], &settings::STRUCT_KEYS, errors);
    let krate = settings::krate(&mut keys, errors);
    for key in keys.rest() {
        errors.at(&key.name, format!("`{}` belongs to the struct: move it to the `#[backfill]` there", key.name));
    }
    krate
}

fn refuse_shape(item: &ItemImpl, errors: &mut Errors) {
    let generic = "a backfill has no generics or lifetimes: it is registered once, by name, and built from a form";
    if !item.generics.params.is_empty() {
        errors.at(&item.generics, generic);
    } else if let Type::Path(path) = &*item.self_ty
        && let Some(segment) = path.path.segments.last()
        && !matches!(segment.arguments, PathArguments::None)
    {
        errors.at(&segment.arguments, generic);
    }
    if !matches!(&*item.self_ty, Type::Path(path) if path.qself.is_none()) {
        errors.at(&item.self_ty, "`#[backfill]` stands on the impl of a struct: write `impl TheStruct { … }`");
    }
}

fn scope(self_ty: &Type, functions: &[&ImplItemFn], errors: &mut Errors) -> Option<Type> {
    let Some(item) = find(functions, "scope") else {
        let (at, typo) = near(functions, &["scope"]).map_or((self_ty.to_token_stream(), String::new()), |ident| {
            (ident.to_token_stream(), format!(" (is `{ident}` a typo?)"))
        });
        let name = self_ty.to_token_stream();
        errors.at(
            at,
            format!("backfill `{name}` has no `scope`: write `{SCOPE}`, which says which rows it is about{typo}"),
        );
        return None;
    };
    functions::refuse_conditional(item, errors);
    functions::receiver(&item.sig, SCOPE, errors);
    if let Some(asyncness) = &item.sig.asyncness {
        errors
            .at(asyncness, format!("`scope` is not async: it only says which rows, the engine reads them; `{SCOPE}`"));
        return None;
    }
    if !item.sig.generics.params.is_empty() {
        errors.at(&item.sig.generics, format!("`scope` has no generics: `{SCOPE}`"));
        return None;
    }
    for argument in functions::arguments(&item.sig) {
        errors.at(argument, format!("`scope` takes `&self` only, it depends on the options alone: `{SCOPE}`"));
    }
    functions::scope_return(item, SCOPE, errors)
}

fn process(self_ty: &Type, all: &[&ImplItemFn], errors: &mut Errors) -> Option<Process> {
    let name = self_ty.to_token_stream();
    match (find(all, BATCH), find(all, ELEMENT)) {
        (Some(batch), Some(element)) => {
            let message = format!("backfill `{name}` has both `{BATCH}` and `{ELEMENT}`: keep exactly one");
            errors.at(&element.sig.ident, message);
            errors.at(&batch.sig.ident, "the other one is here");
            None
        }
        (Some(batch), None) => functions::function(batch, &batch_role(), errors).map(Process::Batch),
        (None, Some(element)) => {
            let function = functions::function(element, &element_role(), errors)?;
            if let Some(Type::Reference(row)) = function.fixed.first() {
                let message = if row.mutability.is_some() {
                    format!("`{ELEMENT}` is given the row first, then the connection: `{}`", element_role().wanted)
                } else {
                    let row_ty = row.elem.to_token_stream();
                    format!("`{ELEMENT}` is given the row itself: write `{row_ty}`, not a reference to it")
                };
                errors.at(row, message);
            }
            Some(Process::Element(function))
        }
        (None, None) => {
            let message = format!("backfill `{name}` has neither `{BATCH}` nor `{ELEMENT}`: write exactly one");
            match near(all, &[BATCH, ELEMENT]) {
                Some(ident) => errors.at(ident, format!("{message} (is `{ident}` a typo?)")),
                None => errors.at(self_ty, message),
            }
            None
        }
    }
}

/// A function whose name is nearly one of these.
fn near<'a>(functions: &[&'a ImplItemFn], wanted: &[&str]) -> Option<&'a Ident> {
    let mut names = functions.iter().map(|item| &item.sig.ident);
    names.find(|ident| did_you_mean(&ident.to_string(), wanted.iter().copied()).is_some())
}

fn batch_role() -> Role {
    Role {
        wanted: format!("async fn {BATCH}(&self, batch: &mut Batch<'_>) -> data_drip::Result"),
        fixed: &["the batch"],
    }
}

fn element_role() -> Role {
    Role {
        wanted: format!("async fn {ELEMENT}(&self, row: Row, conn: &mut Connection) -> data_drip::Result"),
        fixed: &["the row", "the connection"],
    }
}

fn before_run_role() -> Role {
    Role {
        wanted: format!("async fn {BEFORE_RUN}(&self, run: &Run, conn: &mut Connection) -> data_drip::Result"),
        fixed: &["the run", "the connection"],
    }
}

/// The hooks among the functions; what only looks like one would silently never be called.
fn hooks(all: &[&ImplItemFn], errors: &mut Errors) -> Vec<Hook> {
    let runs = RUN_STATUSES.iter().map(|status| (format!("on_run_{status}"), "Run", status));
    let batches = BATCH_STATUSES.iter().map(|status| (format!("on_batch_{status}"), "Batch", status));
    let known: Vec<_> = runs.chain(batches).collect();
    let mut hooks = Vec::new();
    for item in all {
        let name = item.sig.ident.to_string();
        if let Some((_, of, status)) = known.iter().find(|(known, ..)| *known == name) {
            hooks.extend(hook(item, of, status, errors));
        } else if name != BEFORE_RUN && looks_like_a_hook(item, &name) {
            let names: Vec<&str> = known.iter().map(|(name, ..)| name.as_str()).chain([BEFORE_RUN]).collect();
            let mend = meant(&name, &names).map_or_else(no_hook, |near| format!("; did you mean `{near}`?"));
            let message = format!("`{name}` looks like a hook and is none, so it would never be called{mend}");
            errors.at(&item.sig.ident, message);
        }
    }
    hooks
}

/// By its name alone, or by its name and the run that it wants to be told of.
fn looks_like_a_hook(item: &ImplItemFn, name: &str) -> bool {
    let starts = |with: &[&str]| with.iter().any(|start| name.starts_with(start));
    let told = |of: &str| name.strip_prefix(of).is_some_and(|moment| status(moment).is_some());
    starts(&["on_run_", "on_batch_", "before_"])
        || (takes_a_run(item)
            && (starts(&["on_run", "on_batch", "after_"]) || ["on_", "run_", "batch_"].into_iter().any(told)))
}

fn takes_a_run(item: &ImplItemFn) -> bool {
    functions::arguments(&item.sig).iter().any(|ty| {
        matches!(ty, Type::Reference(reference) if matches!(&*reference.elem, Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == "Run" || last.ident == "RunBatch")))
    })
}

/// The status that a moment is called by, in DataDrip's words or somebody else's.
fn status(moment: &str) -> Option<&'static str> {
    Some(match moment {
        "complete" | "done" | "end" | "ended" | "finish" | "finished" | "success" | "succeeded" => "completed",
        "error" | "fail" | "failure" => "failed",
        "begin" | "start" | "started" => "running",
        "abort" | "aborted" | "cancel" | "canceled" | "cancelled" | "stop" => "stopped",
        _ => return RUN_STATUSES.into_iter().find(|status| *status == moment),
    })
}

/// The hook that such a name was probably meant to be.
fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let last = if name.starts_with("after_") { "end" } else { name.rsplit('_').next().unwrap_or(name) };
    let Some(status) = status(last) else { return did_you_mean(name, known.iter().copied()) };
    let of = if name.contains("batch") { "batch" } else { "run" };
    let wanted = format!("on_{of}_{status}");
    known.iter().copied().find(|known| *known == wanted)
}

fn no_hook() -> String {
    let (run, batch) = (RUN_STATUSES.join(", "), BATCH_STATUSES.join(", "));
    format!("; give it another name, or one of theirs: `on_run_` with {run}, `on_batch_` with {batch}")
}

fn hook(item: &ImplItemFn, of: &str, status: &str, errors: &mut Errors) -> Option<Hook> {
    let on_batch = of == "Batch";
    let (arguments, fixed): (_, &[_]) =
        if on_batch { ("run: &Run, batch: &RunBatch", &["the run", "the batch"]) } else { ("run: &Run", &["the run"]) };
    let role = Role { wanted: format!("async fn {}(&self, {arguments})", item.sig.ident), fixed };
    let function: Function = functions::function(item, &role, errors)?;
    let (first, rest) = status.split_at(1);
    Some(Hook { variant: format_ident!("{of}{}{rest}", first.to_uppercase()), on_batch, function })
}
