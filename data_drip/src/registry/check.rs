//! What can be wrong with the backfills of a binary and shows without a database: `assert_backfills!`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{NOTHING_LINKED, Registration, distinct, duplicate};
use crate::backfill::{Backfill, StateType};
use crate::error::FieldError;
use crate::options::{Field, Raw, parse_with};

/// Whether some values would be accepted, without the instance.
pub(super) type Parse = fn(&[Field], &HashMap<String, Raw>) -> Result<(), Vec<FieldError>>;

pub(super) fn parse<T: Backfill>(fields: &[Field], raw: &HashMap<String, Raw>) -> Result<(), Vec<FieldError>> {
    parse_with::<T>(fields, raw).map(|_| ())
}

/// Everything wrong with `registrations`, each in a sentence; `states` is what the builder will be given.
///
/// # Errors
/// When anything is.
pub(super) fn problems(
    registrations: impl IntoIterator<Item = Registration>,
    states: &[StateType],
) -> Result<(), Vec<String>> {
    let registrations = distinct(registrations);
    let mut problems = Vec::new();
    if registrations.is_empty() {
        problems.push(NOTHING_LINKED.to_owned());
    }
    problems.extend(duplicate(&registrations));
    for registration in &registrations {
        problems.extend(missing_states(registration, states));
        problems.extend(wrong_fields(registration));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn missing_states(registration: &Registration, states: &[StateType]) -> Vec<String> {
    let info = &registration.info;
    let missing = info.states.iter().filter(|wanted| !states.contains(wanted));
    missing
        .map(|state| {
            format!(
                "`{}` asks for `State<{}>`, which is not among the states listed: what the builder is given by \
                 `.state(…)` is listed as `assert_backfills!(states: [{}])`",
                info.type_name, state.name, state.name
            )
        })
        .collect()
}

/// Defaults and bounds take the way of every value; what is refused does not fit its own option.
fn wrong_fields(registration: &Registration) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for field in &registration.info.fields {
        let mut tell = |problem: String| {
            problems.push(format!("`{}`, option `{}`: {problem}", registration.info.type_name, field.name));
        };
        if !seen.insert(field.name) {
            tell("two options have this name".to_owned());
        }
        if let Some(reason) = field.default.as_ref().and_then(|value| refusal(registration, field, value)) {
            tell(format!("its default {reason}"));
        }
        if let Some(reason) = field.min.as_ref().and_then(|value| refusal(registration, field, value)) {
            tell(format!("`min` and `max` leave nothing between them: `min` {reason}"));
        }
    }
    problems
}

/// Why `value` would be refused for `field`; what the other fields lack is not asked.
fn refusal(registration: &Registration, field: &Field, value: &Value) -> Option<String> {
    let raw = HashMap::from([(field.name.to_owned(), Raw::Json(value.clone()))]);
    let errors = (registration.parse)(&registration.info.fields, &raw).err()?;
    errors.into_iter().find(|error| error.field == field.name).map(|error| error.message)
}

/// Checks, in a test of yours, all that can be checked of your backfills without a database.
///
/// That they are linked in at all, that no two share a name, that defaults and bounds fit their options, and that each
/// `State<S>` they ask for is among the `states` that your builder is given.
///
/// ```
/// # #[cfg(feature = "sqlite")] mod example {
/// # use data_drip::sqlite::prelude::*;
/// # struct Mailer;
/// # #[backfill]
/// # struct Remind;
/// # #[backfill]
/// # impl Remind {
/// #     fn scope(&self) -> Scope { Scope::table("people") }
/// #     async fn process_batch(&self, batch: &mut Batch<'_>, mailer: State<Mailer>) { let _ = (batch, mailer); }
/// # }
/// // tests/backfills.rs
/// use my_backfills as _; // links the crate that holds them
/// # mod my_backfills {}
///
/// # /*
/// #[test]
/// # */
/// # pub
/// fn backfills_are_sound() {
///     data_drip::assert_backfills!(states: [Mailer]);
/// }
/// # }
/// # #[cfg(feature = "sqlite")] example::backfills_are_sound();
/// ```
///
/// # Panics
/// With everything that is wrong.
#[macro_export]
macro_rules! assert_backfills {
    () => {
        $crate::assert_backfills!(states: [])
    };
    (states: [$($state:ty),* $(,)?]) => {
        $crate::__private::assert_backfills(&[$($crate::__private::StateType::of::<$state>()),*])
    };
}

/// What [`assert_backfills!`](crate::assert_backfills) does.
#[doc(hidden)]
#[track_caller]
pub fn assert_backfills(states: &[StateType]) {
    if let Err(problems) = problems(super::linked(), states) {
        panic!("the backfills of this binary are not sound:\n- {}", problems.join("\n- "));
    }
}
