//! The engine's tables.

#[cfg(feature = "sqlite")]
pub mod sqlite;

/// The engine's own statements, by verb and noun; one set per dialect.
#[doc(hidden)]
pub struct Sql {}
