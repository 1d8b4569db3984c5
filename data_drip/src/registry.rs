//! Every backfill linked into the binary, collected at link time, and the erased edge over which the engine sees them.

mod check;
mod erased;

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use crate::backend::Backend;
use crate::backfill::{Backfill, Hook, Mode, StateType};
use crate::error::{Error, ErrorKind};
use crate::options::{Field, Settings};

pub use check::assert_backfills;
#[cfg(test)]
use check::problems;
pub(crate) use erased::{Definition, Instance, instance, scope_of};

/// Every entry, from every crate of the binary.
///
/// linkme names the section after the static alone: the prefix keeps it apart from a host's own slices, the version from
/// another version of this crate in the same binary. What is not linked in is not here: a crate that nothing names is
/// dropped whole.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static DATA_DRIP_BACKFILLS_V0_1: [Entry] = [..];

/// An empty slice makes some linkers fail (lld-link on Windows), so there is always this one.
#[linkme::distributed_slice(DATA_DRIP_BACKFILLS_V0_1)]
#[expect(
    unsafe_code,
    reason = "an entry is a static with a link section; in other crates the macro is foreign and exempt"
)]
static NEVER_EMPTY: Entry = Entry { register: None };

/// One element of the slice: what `#[backfill] struct` puts into the registry.
#[doc(hidden)]
pub struct Entry {
    register: Option<fn() -> Registration>,
}

impl Entry {
    /// The entry of a backfill.
    pub const fn of<T: Backfill>() -> Self {
        Self { register: Some(Registration::of::<T>) }
    }
}

/// What is known of a backfill without a database: for the dashboard, for queries, for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackfillInfo {
    /// The name under which runs are stored.
    pub name: &'static str,
    /// What it does, from the doc comment.
    pub description: &'static str,
    /// The type, with its path.
    pub type_name: &'static str,
    /// The module that the type lives in.
    pub module: &'static str,
    /// The database it is written for.
    pub database: &'static str,
    /// Row by row or a batch at a time.
    pub mode: Mode,
    /// What its attribute says about batches, timing and queues.
    pub settings: Settings,
    /// Its options, in the order of the form.
    pub fields: Vec<Field>,
    /// The hooks it answers; those win over the global handler.
    pub hooks: &'static [Hook],
    pub(crate) states: Vec<StateType>,
}

impl BackfillInfo {
    fn of<T: Backfill>() -> Self {
        let type_name = type_name::<T>();
        Self {
            name: T::NAME,
            description: T::DESCRIPTION,
            type_name,
            module: type_name.rsplit_once("::").map_or("", |(module, _)| module),
            database: <T::Database as Backend>::LABEL,
            mode: T::MODE,
            settings: T::SETTINGS,
            fields: T::fields(),
            hooks: T::HOOKS,
            states: T::states(),
        }
    }
}

/// A backfill with its type erased.
pub(crate) struct Registration {
    pub(crate) info: BackfillInfo,
    id: TypeId,
    /// `Arc<dyn Definition<DB>>` of the one database it is written for.
    definition: Box<dyn Any + Send + Sync>,
    parse: check::Parse,
}

impl Registration {
    pub(crate) fn of<T: Backfill>() -> Self {
        let info = BackfillInfo::of::<T>();
        let definition: Arc<dyn Definition<T::Database>> = erased::definition::<T>(info.fields.clone());
        Self { info, id: TypeId::of::<T>(), definition: Box::new(definition), parse: check::parse::<T> }
    }

    /// `None` when it is written for another database.
    pub(crate) fn definition<DB: Backend>(&self) -> Option<Arc<dyn Definition<DB>>> {
        self.definition.downcast_ref::<Arc<dyn Definition<DB>>>().cloned()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("info", &self.info).finish_non_exhaustive()
    }
}

/// What the binary links in.
pub(crate) fn linked() -> Vec<Registration> {
    DATA_DRIP_BACKFILLS_V0_1.iter().filter_map(|entry| entry.register).map(|register| register()).collect()
}

/// Backfills by name: what is linked in, and what the builder was given by `.with::<T>()`.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Sorted by name.
    registrations: Vec<Registration>,
}

impl Registry {
    /// A type that comes twice, linked and given, counts once.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when two types share a name.
    pub(crate) fn new(registrations: impl IntoIterator<Item = Registration>) -> Result<Self, Error> {
        let registrations = distinct(registrations);
        match duplicate(&registrations) {
            Some(message) => Err(Error::new(ErrorKind::Configuration, message)),
            None => Ok(Self { registrations }),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Registration> {
        let index = self.registrations.binary_search_by(|registration| registration.info.name.cmp(name)).ok()?;
        self.registrations.get(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.registrations.is_empty()
    }
}

/// What to tell somebody whose registry is empty.
pub(crate) const NOTHING_LINKED: &str = "no backfills are linked into this binary: a crate that nothing names is \
     dropped by the compiler, so name the one that holds them, with `use my_backfills as _;`";

/// Sorted by name, each type once.
fn distinct(registrations: impl IntoIterator<Item = Registration>) -> Vec<Registration> {
    let mut all: Vec<_> = registrations.into_iter().collect();
    all.sort_by_key(|registration| (registration.info.name, registration.info.type_name));
    all.dedup_by_key(|registration| registration.id);
    all
}

/// Runs are stored under the name: with two types behind it, old runs would run the wrong code.
fn duplicate(sorted: &[Registration]) -> Option<String> {
    let pair = sorted.windows(2).find(|pair| pair[0].info.name == pair[1].info.name)?;
    let [first, second] = [&pair[0].info, &pair[1].info];
    Some(format!(
        "two backfills are named `{}`: `{}` and `{}`; give one of them another name with `#[backfill(name = \"…\")]`",
        first.name, first.type_name, second.type_name
    ))
}

#[cfg(test)]
mod tests;
