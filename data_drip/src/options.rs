//! The options of a backfill: what a form shows, and the one parser for forms, JSON and code.
//!
//! An option goes through [`OptionValue::parse`] whatever it came from; `options/` holds one file per family of types.

mod choice;
mod input;
mod mask;
mod number;
mod temporal;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::backfill::{Backfill, BoxFuture, ConnectionOf};
use crate::error::Failure;

pub use choice::OptionEnum;
pub(crate) use choice::{enum_kind, parse_enum};
pub(crate) use input::parse_with;
pub use input::{Input, parse};
pub(crate) use mask::Mask;
pub use number::Number;
pub use value::OptionValue;

/// Option values by name, canonical: what a run stores.
pub type Values = serde_json::Map<String, Value>;

/// The struct half of a backfill, emitted by `#[backfill] struct …`; can be written by hand.
///
/// A type's fields become form fields; [`parse`](Options::parse) and [`values`](Options::values) are inverse.
///
/// ```
/// use data_drip::options::{Field, Input, Options, OptionValue, Values};
///
/// struct AddRole {
///     department: String,
///     age: Option<i64>,
/// }
///
/// impl Options for AddRole {
///     const NAME: &'static str = "add_role";
///
///     fn fields() -> Vec<Field> {
///         vec![Field::of::<String>("department"), Field::of::<Option<i64>>("age").min(0_i64)]
///     }
///
///     fn parse(input: &mut Input<'_>) -> Option<Self> {
///         let department = input.take("department");
///         let age = input.take("age"); // both are taken before either gives up, so that all errors are found
///         Some(Self { department: department?, age: age? })
///     }
///
///     fn values(&self) -> Values {
///         Values::from_iter([
///             ("department".to_owned(), self.department.to_json()),
///             ("age".to_owned(), self.age.to_json()),
///         ])
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has a `#[backfill]` impl but is not itself a `#[backfill]` struct",
    label = "its struct lacks the attribute",
    note = "put `#[data_drip::backfill]` on `struct {Self}` too: its fields are the options, its doc comment the description"
)]
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
    ///
    /// Take all of them before giving up, so that a form shows all its errors at once.
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

/// What `#[backfill(…)]` on the struct says. Batch size and pause: `None` leaves the builder's value; what is said for a run,
/// else by the environment, wins over both.
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
    /// How many batches of one run may be in flight over all processes; on PostgreSQL, MariaDB and MySQL more than 1,000 means
    /// 1,000.
    pub concurrency: Option<u32>,
    /// Attempts before a failing batch is given up.
    pub max_attempts: u32,
    /// Whether the rows of a batch are locked while they are processed.
    pub lock: bool,
}

/// The queue of runs that name none.
pub(crate) const DEFAULT_QUEUE: &str = "default";

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

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One form field.
///
/// ```
/// use data_drip::options::Field;
/// let age = Field::of::<Option<u8>>("min_age").help("Younger people are left alone.").min(18_u8);
/// assert_eq!(age.label, "Min age");
/// assert!(!age.required);
/// ```
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
    ///
    /// A form that shows a [`Kind::Boolean`] or a [`Kind::MultiSelect`] always gives a value: unticked is `false`,
    /// nothing selected is the empty list. So neither is to be marked as required in HTML.
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

impl Field {
    /// The field of an option of type `T`, labelled after its name.
    pub fn of<T: OptionValue>(name: &'static str) -> Self {
        Self {
            name,
            label: humanize(name),
            help: "",
            kind: T::kind(),
            required: T::when_missing().is_none(),
            default: None,
            min: None,
            max: None,
            has_choices: false,
            masked: false,
        }
    }

    /// What the form calls it.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// A sentence beside it.
    #[must_use]
    pub fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// The value it has when it is not given; it is then no longer required.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads as the assignment that it is")]
    pub fn default<T: OptionValue>(mut self, value: T) -> Self {
        self.default = Some(value.to_json());
        self.required = false;
        self
    }

    /// Least number.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads as the assignment that it is")]
    pub fn min<T: Number>(mut self, value: T) -> Self {
        self.min = Some(value.to_json());
        self
    }

    /// Greatest number.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads as the assignment that it is")]
    pub fn max<T: Number>(mut self, value: T) -> Self {
        self.max = Some(value.to_json());
        self
    }

    /// The values come from [`Options::choices`].
    #[must_use]
    pub fn with_choices(mut self) -> Self {
        self.has_choices = true;
        self
    }

    /// Never shown; stored in clear.
    #[must_use]
    pub fn masked(mut self) -> Self {
        self.masked = true;
        self
    }
}

/// `min_age` reads as "Min age".
fn humanize(name: &str) -> String {
    let text = name.replace('_', " ");
    let text = text.trim();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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
    ///
    /// A browser sends nothing for an unticked box or an empty multi-select: a form that showed the field hands
    /// over an empty list, so that "unticked" and "not shown" stay two things.
    Form(Vec<String>),
}

impl Raw {
    /// Whether a form showed the field and nothing was typed into it.
    fn is_blank(&self) -> bool {
        matches!(self, Self::Form(texts) if texts.iter().all(|text| text.trim().is_empty()))
    }
}
