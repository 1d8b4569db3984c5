//! The options of a backfill: what a form shows, and the one parser for forms, JSON and code.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::backfill::{Backfill, BoxFuture, ConnectionOf};
use crate::error::{Failure, FieldError};

/// Option values by name, canonical: what a run stores.
pub type Values = serde_json::Map<String, Value>;

/// The struct half of a backfill, emitted by `#[backfill] struct …`; can be written by hand.
///
/// A type's fields become form fields; [`parse`](Options::parse) and [`values`](Options::values) are inverse.
pub trait Options: Sized + Send + Sync + 'static {
    /// The name under which runs are stored; stable over renames of the type.
    const NAME: &'static str;
    /// What the backfill does, for people; from the doc comment.
    const DESCRIPTION: &'static str = "";
    /// What the struct's attribute says about batches, timing and queues.
    const SETTINGS: Settings = Settings::DEFAULT;

    /// The form fields, in order.
    fn fields() -> Vec<Field> {
        Vec::new()
    }

    /// Takes each option out of `input`, which keeps the errors; `None` when any was refused.
    fn parse(input: &mut Input<'_>) -> Option<Self>;

    /// The options as canonical JSON.
    fn values(&self) -> Values {
        Values::new()
    }

    /// The values that may be chosen for `field`, read from the database; `None` when any will do.
    fn choices<'c>(
        field: &'c str,
        conn: &'c mut ConnectionOf<Self>,
    ) -> BoxFuture<'c, Result<Option<Vec<Choice>>, Failure>>
    where
        Self: Backfill,
    {
        let _ = (field, conn);
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What `#[backfill(…)]` on the struct says; `None` leaves the builder's or the environment's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Elements per batch.
    pub batch_size: Option<u64>,
    /// Pause after each batch, in milliseconds.
    pub sleep_ms: Option<u64>,
    /// How long one attempt at a batch may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The queue its runs go to.
    pub queue: Option<&'static str>,
    /// How many batches of one run may be in flight over all processes.
    pub concurrency: Option<u32>,
    /// Attempts before a failing batch is given up.
    pub max_attempts: u32,
    /// Whether the rows of a batch are locked while they are processed.
    pub lock: bool,
}

impl Settings {
    /// Nothing said: one attempt, rows locked.
    pub const DEFAULT: Self = Self {
        batch_size: None,
        sleep_ms: None,
        timeout_ms: None,
        queue: None,
        concurrency: None,
        max_attempts: 1,
        lock: true,
    };
}

/// One form field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Field {
    /// The option's name: the struct field.
    pub name: &'static str,
    /// What the form calls it.
    pub label: String,
    /// Help, from the doc comment; may be empty.
    pub help: &'static str,
    /// What kind of input it takes.
    pub kind: Kind,
    /// Whether it has to be given: not an `Option`, and no default.
    pub required: bool,
    /// The value it has when it is not given.
    pub default: Option<Value>,
    /// Least number.
    pub min: Option<Value>,
    /// Greatest number.
    pub max: Option<Value>,
    /// The values come from the database: ask [`Options::choices`].
    pub has_choices: bool,
    /// Never shown; stored in clear.
    pub masked: bool,
}

/// What kind of input an option takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// A decimal number, exact.
    Decimal,
    /// Yes or no.
    Boolean,
    /// `2026-01-31`.
    Date,
    /// `23:59:59`.
    Time,
    /// Date and time without a zone.
    NaiveDateTime,
    /// A moment, in UTC.
    DateTime,
    /// One of these.
    Select {
        /// What can be chosen.
        choices: Vec<Choice>,
    },
    /// Any of these.
    MultiSelect {
        /// What can be chosen.
        choices: Vec<Choice>,
    },
}

/// One value that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub label: String,
}

impl<T: fmt::Display> From<T> for Choice {
    fn from(value: T) -> Self {
        let value = value.to_string();
        Self { label: value.clone(), value }
    }
}

/// What was given, before it is parsed.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// A JSON value, from code, the API, or a stored run.
    Json(Value),
    /// Everything that a form sent under this name, in order.
    Form(Vec<String>),
}

/// The values to parse, and the errors found on the way.
#[derive(Debug)]
pub struct Input<'a> {
    #[expect(dead_code, reason = "skeleton")]
    fields: &'a [Field],
    errors: Vec<FieldError>,
}

impl Input<'_> {
    /// The errors found so far, in the order of the form.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}
