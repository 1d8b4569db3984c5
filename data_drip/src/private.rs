//! All that generated code may touch, and nothing else. Not part of the public interface.

pub use std::boxed::Box;
pub use std::future::Future;
pub use std::marker::{Send, Sync};
pub use std::option::Option;
pub use std::result::Result;
pub use std::string::String;
pub use std::vec::Vec;

pub use linkme;
pub use serde_json::Value;

pub use crate::backfill::{
    Backfill, BatchArgument, BoxFuture, ConnectionArgument, ConnectionOf, Context, ContextArgument, Hook, IntoChoices,
    IntoOutcome, IsScope, Mode, RowArgument, RunArgument, RunBatchArgument, StateType,
};
pub use crate::batch::Batch;
pub use crate::error::{Failure, Result as Outcome};
pub use crate::options::{Choice, Field, Input, Kind, OptionEnum, OptionValue, Options, Raw, Settings, Values};
pub use crate::registry::{DATA_DRIP_BACKFILLS_V0_1 as BACKFILLS, Entry, assert_backfills};
pub use crate::run::{Run, RunBatch};
pub use crate::scope::Scope;

/// What plain sqlx takes.
pub type Connection<DB> = <DB as sqlx::Database>::Connection;

/// The database of a backfill whose `scope` says none, so that one mistake is one error.
#[cfg(feature = "sqlite")]
pub type AnyDatabase = sqlx::Sqlite;
/// The same, where SQLite is not turned on.
#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
pub type AnyDatabase = sqlx::Postgres;
/// The same, where neither is.
#[cfg(all(feature = "mysql", not(any(feature = "sqlite", feature = "postgres"))))]
pub type AnyDatabase = sqlx::MySql;

/// The body of a function that stands in for one with mistakes. Code that holds it does not compile.
pub fn stub() -> ! {
    unreachable!("a stub is only there beside a compile error")
}

/// The input of a single choice.
pub fn enum_kind<E: OptionEnum>() -> Kind {
    crate::options::enum_kind::<E>()
}

/// Reads a single choice.
pub fn parse_enum<E: OptionEnum>(raw: &Raw) -> Result<E, String> {
    crate::options::parse_enum(raw)
}

/// Puts the row's key in front of a failure.
pub fn row_failed(failure: Failure, key: &crate::key::Key) -> Failure {
    failure.context(format_args!("row with key {key}"))
}

/// The states that a backfill's functions ask for, each once.
pub fn states<const N: usize>(asked: [Option<StateType>; N]) -> Vec<StateType> {
    let mut states = Vec::new();
    for state in asked.into_iter().flatten() {
        if !states.contains(&state) {
            states.push(state);
        }
    }
    states
}

/// A `choices` answer for an option that has none.
pub fn no_choices<'c>() -> BoxFuture<'c, Outcome<Option<Vec<Choice>>>> {
    Box::pin(std::future::ready(Ok(None)))
}

/// Pairs of an option's name and its canonical value.
pub fn values<const N: usize>(pairs: [(&str, Value); N]) -> Values {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the default of a text option may be written as.
#[diagnostic::on_unimplemented(
    message = "the default of a `String` option must be text, and `{Self}` is none",
    label = "not text"
)]
pub trait Text {
    fn into_text(self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: Into<String>> Text for T {
    fn into_text(self) -> String {
        self.into()
    }
}
