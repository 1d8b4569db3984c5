//! Every backfill linked into the binary, collected at link time.

use crate::backfill::Backfill;

/// One registered backfill, of any database.
#[doc(hidden)]
pub struct Entry {
    pub(crate) type_name: fn() -> &'static str,
    pub(crate) module: &'static str,
}

impl Entry {
    /// The entry of a backfill: what `#[backfill] struct` puts into the registry.
    pub const fn of<T: Backfill>(module: &'static str) -> Self {
        Self { type_name: std::any::type_name::<T>, module }
    }
}
