//! The engine's tables.

/// The engine's own statements, by verb and noun; one set per dialect.
#[doc(hidden)]
pub struct Sql {}

#[cfg(feature = "sqlite")]
mod temporary;
