//! DataDrip.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod backend;
pub mod backfill;
pub mod batch;
pub mod error;
pub mod key;
pub mod options;
pub mod registry;
pub mod run;
pub mod scope;
pub mod status;
pub mod store;
mod suggest;

pub use data_drip_macros::{OptionEnum, backfill};
pub use error::{Error, ErrorKind, Failure, FieldError, Result};

/// Backfills on SQLite.
#[cfg(feature = "sqlite")]
pub mod sqlite {
    /// What a file with SQLite backfills imports.
    pub mod prelude {
        pub use crate::backfill::State;
        pub use crate::run::Run;
        pub use crate::{OptionEnum, backfill};
        pub use sqlx::SqliteConnection as Connection;

        /// Which rows, on SQLite.
        pub type Scope = crate::scope::Scope<sqlx::Sqlite>;
        /// One batch, on SQLite.
        pub type Batch<'t> = crate::batch::Batch<'t, sqlx::Sqlite>;
        // The lead adds `col` and `DataDrip` here.
    }
}
