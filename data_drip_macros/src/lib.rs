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
#[cfg(test)]
mod snapshot;
mod suggest;
mod validate;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Item, ItemImpl, ItemStruct, parse_macro_input};

use crate::error::Errors;

/// Makes a struct and its `impl` a backfill.
///
/// It stands on both: the struct's fields are the options and its doc comment the description, the inherent `impl` says
/// which rows and what to do with them. The backfill is then registered wherever its crate is linked in: a program names a
/// library with backfills once, `use my_backfills as _;`, or the compiler leaves it out.
///
/// ```
/// use data_drip::sqlite::prelude::*;
///
/// /// Gives every employee without a role the default one.
/// #[backfill(batch_size = 1_000)]
/// pub struct AddRoleToEmployee {
///     /// Only employees of this department.
///     pub department: String,
///     pub age: Option<i64>,
///     #[option(default = true)]
///     pub active_only: bool,
/// }
///
/// #[backfill]
/// impl AddRoleToEmployee {
///     fn scope(&self) -> Scope {
///         Scope::table("employees")
///             .filter(col("role").is_null())
///             .filter(col("department").eq(&self.department))
///             .filter_some(self.age, |age| col("age").eq(age))
///             .filter_if(self.active_only, col("active").eq(true))
///     }
///
///     async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
///         batch.update_all().set("role", "intern").execute().await?;
///         Ok(())
///     }
/// }
/// ```
///
/// # On the struct
///
/// A struct with named fields, or with none. No generics, no lifetimes: it is built from a form.
///
/// | key | what it says | without it |
/// |---|---|---|
/// | `name = "add_role"` | the name that runs are stored under; keep it when the type is renamed | the type's, in snake case |
/// | `batch_size = 1_000` | elements per batch; what is said for a run, and `DATA_DRIP_BATCH_SIZE`, win over it | the builder's |
/// | `sleep = "500ms"` | pause after each batch; `ms`, `s`, `m` or `h`, at most a day; likewise, with `DATA_DRIP_SLEEP` | the builder's |
/// | `timeout = "30s"` | how long one attempt at a batch may take | any time |
/// | `queue = "slow"` | the queue its runs go to | the default queue |
/// | `concurrency = 4` | batches of one run in flight at once, over all processes; on PostgreSQL, MariaDB and MySQL more than 1,000 means 1,000 | any number |
/// | `max_attempts = 3` | attempts before a failing batch is given up | 1: nothing is repeated unasked |
/// | `lock = none` | rows of a batch are not locked while they are processed | they are |
/// | `crate = path` | where `data_drip` is, for crates that re-export it; on both halves | `::data_drip` |
///
/// # On a field
///
/// `#[option(…)]`, with any of these:
///
/// | key | what it says |
/// |---|---|
/// | `default = 18` | the value when none is given: a literal or any expression of the field's type (of the type inside, for an `Option`) |
/// | `label = "Least age"` | what the form calls it; without it the field's name, in words |
/// | `min = 0`, `max = 150` | bounds of a number |
/// | `choices = departments` | an async function that reads the values to choose from: `async fn(conn: &mut Connection) -> Result<Vec<_>, _>` of [`Choice`]s or anything that can be shown |
/// | `masked` | never shown, in no page and no list; *stored in clear* |
///
/// The field's doc comment is its help. A field without a default that is no `Option` is required.
///
/// Types: `String`, the integers up to 64 bits, `f32` and `f64` (finite), `bool`, `Decimal` (of `rust_decimal`, with the
/// feature `decimal`), chrono's `NaiveDate`, `NaiveTime`, `NaiveDateTime` and `DateTime<Utc>`, enums with
/// [`#[derive(OptionEnum)]`](macro@OptionEnum), a `Vec` of such an enum, and `Option` of any of these. A form that shows a
/// `bool` or a `Vec` always gives it a value: unticked is `false`, nothing selected is the empty list. JSON and code have
/// to give them, unless they have a default.
///
/// ```
/// use chrono::NaiveDate;
/// use data_drip::sqlite::prelude::*;
///
/// #[derive(Clone, Copy, OptionEnum)]
/// pub enum Ambiguous {
///     /// Refuse such rows
///     Reject,
///     /// Take the earlier moment
///     Earlier,
/// }
///
/// async fn stations(conn: &mut Connection) -> sqlx::Result<Vec<String>> {
///     sqlx::query_scalar("SELECT DISTINCT station FROM weather ORDER BY 1").fetch_all(conn).await
/// }
///
/// /// Computes the UTC time of each observation.
/// #[backfill(name = "observed_at", sleep = "10ms", timeout = "1m", max_attempts = 3)]
/// pub struct ObservedAt {
///     #[option(choices = stations)]
///     pub station: Option<String>,
///     #[option(default = NaiveDate::from_ymd_opt(2013, 1, 1).unwrap(), label = "From")]
///     pub since: NaiveDate,
///     /// What to do when a local hour happened twice.
///     #[option(default = Ambiguous::Reject)]
///     pub ambiguous: Ambiguous,
///     #[option(default = 0, min = -720, max = 720)]
///     pub shift_minutes: i32,
/// }
/// # #[backfill]
/// # impl ObservedAt {
/// #     fn scope(&self) -> Scope { Scope::table("weather") }
/// #     async fn process_batch(&self, batch: &mut Batch<'_>) { let _ = batch; }
/// # }
/// ```
///
/// # On the impl
///
/// - `fn scope(&self) -> Scope`: which rows. It depends on the options alone, and says which database the backfill is for.
/// - Exactly one of
///   - `async fn process_batch(&self, batch: &mut Batch<'_>, …)`: a batch at a time, by its helpers or with plain sqlx
///     on `batch.conn()`, the connection of the batch's transaction;
///   - `async fn process_element(&self, row: Row, conn: &mut Connection, …)`: row by row, read into the type of the argument,
///     any `sqlx::FromRow`, so also a tuple; `conn` is the connection of the batch's transaction, `&mut *conn` for each
///     statement but the last.
/// - `async fn before_run(&self, run: &Run, conn: &mut Connection, …)`: before anything is planned; an error refuses the run.
/// - Hooks, after the change is committed: `async fn on_run_pending(&self, run: &Run, …)`, likewise `enqueued`, `running`,
///   `paused`, `completed`, `failed` and `stopped`; `async fn on_batch_pending(&self, run: &Run, batch: &RunBatch, …)`,
///   likewise `running`, `completed`, `failed` and `stopped`.
///
/// Each may take more arguments (the `…`), in any order: `&Run`, and `State<S>`, a value of the application's that was
/// given by `builder.state(…)` (in tests, by `testing::Runner`). Each returns `()` or `Result<(), E>`, with any error that
/// is `Send + Sync`, `String`, `anyhow::Error` or [`Failure`]. Everything else in the `impl` is left alone, except what
/// looks like a hook and is none.
///
/// ```
/// use data_drip::sqlite::prelude::*;
///
/// pub struct Mailer;
///
/// impl Mailer {
///     pub async fn send(&self, _text: &str) {}
/// }
///
/// /// Puts every name into upper case.
/// #[backfill]
/// pub struct Shout;
///
/// #[backfill]
/// impl Shout {
///     fn scope(&self) -> Scope {
///         Scope::table("people").columns(["id", "name"])
///     }
///
///     async fn process_element(&self, (id, name): (i64, String), conn: &mut Connection) -> sqlx::Result<()> {
///         let loud = name.to_uppercase();
///         sqlx::query("UPDATE people SET name = ? WHERE id = ?").bind(loud).bind(id).execute(conn).await?;
///         Ok(())
///     }
///
///     async fn on_run_failed(&self, run: &Run, mailer: State<Mailer>) {
///         mailer.send(&format!("run {} failed", run.id)).await;
///     }
/// }
/// ```
///
/// What is emitted is an `impl` of [`Options`] and one of [`Backfill`], which can be written by hand as well.
///
/// [`Choice`]: https://docs.rs/data_drip/latest/data_drip/options/struct.Choice.html
/// [`Failure`]: https://docs.rs/data_drip/latest/data_drip/error/struct.Failure.html
/// [`Options`]: https://docs.rs/data_drip/latest/data_drip/options/trait.Options.html
/// [`Backfill`]: https://docs.rs/data_drip/latest/data_drip/backfill/trait.Backfill.html
#[proc_macro_attribute]
pub fn backfill(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let arguments = TokenStream::from(arguments);
    let expanded = match parse_macro_input!(item as Item) {
        Item::Struct(item) => struct_half(arguments, item),
        Item::Impl(item) if item.trait_.is_none() => impl_half(arguments, item),
        other => refuse(&other),
    };
    expanded.into()
}

/// Makes an enum of plain variants an option: a form offers one of them, or any of them for a `Vec`.
///
/// A variant is stored as its name in snake case and shown as the first paragraph of its doc comment, or its name in
/// words. `#[option(…)]` on a variant says otherwise:
///
/// | key | what it says |
/// |---|---|
/// | `rename = "first"` | the value that is stored; keep it when the variant is renamed |
/// | `label = "The earlier one"` | what the form shows |
///
/// `#[option(crate = path)]` on the enum says where `data_drip` is, for crates that re-export it.
///
/// ```
/// use data_drip::options::{OptionEnum as _, OptionValue};
/// use data_drip::OptionEnum;
///
/// #[derive(Clone, Copy, Debug, PartialEq, OptionEnum)]
/// enum Hour {
///     /// Refuse such rows.
///     Reject,
///     #[option(rename = "first", label = "The earlier one")]
///     Earlier,
///     LaterOne,
/// }
///
/// assert_eq!(
///     Hour::CHOICES,
///     [("reject", "Refuse such rows"), ("first", "The earlier one"), ("later_one", "Later one")]
/// );
/// assert_eq!(Hour::from_value("first"), Some(Hour::Earlier));
/// assert_eq!(Hour::LaterOne.to_json(), "later_one");
/// ```
#[proc_macro_derive(OptionEnum, attributes(option))]
pub fn option_enum(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive_half(parse_macro_input!(item as DeriveInput)).into()
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

fn impl_half(arguments: TokenStream, mut item: ItemImpl) -> TokenStream {
    let mut errors = Errors::default();
    let generated = match validate::body(arguments, &mut item, &mut errors) {
        Ok(model) => {
            expand::excuse(&model, &mut item);
            expand::body(&model)
        }
        Err(broken) => expand::stub_body(&broken),
    };
    let errors = errors.into_compile_errors();
    quote!(#item #generated #errors)
}

fn derive_half(mut item: DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let model = validate::option_enum(&mut item, &mut errors);
    let generated = if item.generics.params.is_empty() { expand::option_enum(&model) } else { TokenStream::new() };
    let errors = errors.into_compile_errors();
    quote!(#generated #errors)
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
