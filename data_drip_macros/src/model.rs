//! What an item means once all its attributes are resolved. Expansion sees nothing else.

use std::time::Duration;

use syn::{Attribute, Expr, Ident, Path, Type};

/// What every generated item needs.
pub(crate) struct Target {
    /// The path of `data_drip`.
    pub(crate) krate: Path,
    /// The `#[cfg]`s of the user's item: what is generated exists if and only if it does.
    pub(crate) cfgs: Vec<Attribute>,
}

/// The struct half: name, settings, options.
pub(crate) struct Options {
    pub(crate) target: Target,
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) settings: Settings,
    pub(crate) fields: Vec<Field>,
}

/// What the struct's attribute says; `None` where it says nothing.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) batch_size: Option<u64>,
    pub(crate) sleep: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue: Option<String>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) unlocked: bool,
}

/// One option.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The identifier without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) help: String,
    pub(crate) label: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    pub(crate) choices: Option<Path>,
    pub(crate) masked: bool,
}

/// An expression of a known type: a default, a bound.
pub(crate) struct Value {
    pub(crate) expr: Expr,
    /// The type it has: the field's, without its `Option`.
    pub(crate) ty: Type,
    /// Text may be written as anything that becomes a `String`.
    pub(crate) is_text: bool,
}

/// The impl half: the functions by their roles.
pub(crate) struct Body {
    pub(crate) target: Target,
    pub(crate) self_ty: Type,
    pub(crate) scope: Type,
    pub(crate) process: Process,
    pub(crate) before_run: Option<Function>,
    pub(crate) hooks: Vec<Hook>,
}

pub(crate) enum Process {
    Batch(Function),
    Element(Function),
}

impl Process {
    pub(crate) fn function(&self) -> &Function {
        match self {
            Self::Batch(function) | Self::Element(function) => function,
        }
    }
}

/// A function that generated code calls.
pub(crate) struct Function {
    pub(crate) ident: Ident,
    /// The types of the arguments that its role prescribes.
    pub(crate) fixed: Vec<Type>,
    /// The types of those after them: `&Run`, `State<S>`.
    pub(crate) further: Vec<Type>,
    /// What it returns, `()` where nothing is written.
    pub(crate) output: Type,
}

/// A hook and the status it follows.
pub(crate) struct Hook {
    /// The variant of `data_drip::backfill::Hook`.
    pub(crate) variant: Ident,
    pub(crate) on_batch: bool,
    pub(crate) function: Function,
}

/// An enum whose variants a form offers.
pub(crate) struct OptionEnum {
    pub(crate) krate: Path,
    pub(crate) ident: Ident,
    pub(crate) variants: Vec<Variant>,
}

pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) value: String,
    pub(crate) label: String,
}

/// An item that has mistakes, as far as a stub can stand in for what it would have become.
pub(crate) struct Broken {
    pub(crate) target: Target,
    pub(crate) self_ty: Type,
    pub(crate) generics: syn::Generics,
    /// What `scope` returns, where that much is right.
    pub(crate) scope: Option<Type>,
}
