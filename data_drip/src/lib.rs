#![doc = include_str!("../../README.md")]
//!
//! # A reader's map
//!
//! | to … | look at |
//! |---|---|
//! | write a backfill | [`macro@backfill`], [`scope`], [`batch`], [`mod@backfill`] for the trait behind the macro |
//! | describe its options | [`options`], [`OptionEnum`](macro@OptionEnum) |
//! | set it up in a host | [`Builder`], [`DataDrip`], [`Worker`], [`dashboard`] |
//! | start, steer and read runs | [`api`], [`run`], [`status`] |
//! | read what user code said | [`logs`] |
//! | be told of changes | [`Handler`], the hooks of [`macro@backfill`] |
//! | test backfills | [`assert_backfills!`], [`testing`] |
//!
//! How a click becomes a commit, with the files it passes, is told in `ARCHITECTURE.md` of the repository.

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
compile_error!("data_drip needs a database: turn on one or more of its features `sqlite`, `postgres` and `mysql`");

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod answer;
pub mod api;
pub mod backend;
pub mod backfill;
pub mod batch;
mod builder;
mod config;
mod core;
#[cfg(feature = "dashboard")]
pub mod dashboard;
pub mod error;
mod executor;
mod hooks;
mod inside;
pub mod key;
mod lent;
pub mod logs;
pub mod options;
mod panics;
pub mod registry;
pub mod run;
pub mod scope;
pub mod status;
pub mod store;
mod suggest;
#[cfg(feature = "testing")]
pub mod testing;
mod walk;

// What stands in the public interface, so that a host can name the very version.
pub use chrono;
pub use sqlx;
#[cfg(feature = "dashboard")]
pub use {axum, http};

pub use api::{DataDrip, Preview};
pub use backend::Explanation;
pub use backfill::{Backfill, State};
pub use builder::Builder;
pub use data_drip_macros::{OptionEnum, backfill};
pub use error::{Error, ErrorKind, Failure, FieldError, Result};
pub use executor::Worker;
pub use hooks::Handler;
pub use logs::{LogId, LogLevel, LogLine, LogTotals};
pub use run::{Backfiller, BatchId, Progress, Run, RunBatch, RunId, WorkerClaim, WorkerInfo, WorkerPlan};
pub use scope::col;
pub use status::{BatchStatus, RunStatus};
pub use store::migrate::Migrate;
pub use store::runs::{RunEvent, StatusCounts};

/// Backfills on SQLite.
#[cfg(feature = "sqlite")]
pub mod sqlite {
    /// What a file with SQLite backfills imports.
    pub mod prelude {
        pub use crate::backfill::State;
        pub use crate::run::{Run, RunBatch};
        pub use crate::{OptionEnum, backfill, col};
        pub use sqlx::SqliteConnection as Connection;

        /// Which rows, on SQLite.
        pub type Scope = crate::scope::Scope<sqlx::Sqlite>;
        /// One batch, on SQLite.
        pub type Batch<'t> = crate::batch::Batch<'t, sqlx::Sqlite>;
        /// Backfills on one SQLite database.
        pub type DataDrip = crate::api::DataDrip<sqlx::Sqlite>;
    }
}

/// Backfills on PostgreSQL.
#[cfg(feature = "postgres")]
pub mod postgres {
    /// What a file with PostgreSQL backfills imports.
    pub mod prelude {
        pub use crate::backfill::State;
        pub use crate::run::{Run, RunBatch};
        pub use crate::{OptionEnum, backfill, col};
        pub use sqlx::PgConnection as Connection;

        /// Which rows, on PostgreSQL.
        pub type Scope = crate::scope::Scope<sqlx::Postgres>;
        /// One batch, on PostgreSQL.
        pub type Batch<'t> = crate::batch::Batch<'t, sqlx::Postgres>;
        /// Backfills on one PostgreSQL database.
        pub type DataDrip = crate::api::DataDrip<sqlx::Postgres>;
    }
}

/// Backfills on MySQL and MariaDB.
#[cfg(feature = "mysql")]
pub mod mysql {
    /// What a file with MySQL or MariaDB backfills imports.
    pub mod prelude {
        pub use crate::backfill::State;
        pub use crate::run::{Run, RunBatch};
        pub use crate::{OptionEnum, backfill, col};
        pub use sqlx::MySqlConnection as Connection;

        /// Which rows, on MySQL.
        pub type Scope = crate::scope::Scope<sqlx::MySql>;
        /// One batch, on MySQL.
        pub type Batch<'t> = crate::batch::Batch<'t, sqlx::MySql>;
        /// Backfills on one MySQL database.
        pub type DataDrip = crate::api::DataDrip<sqlx::MySql>;
    }
}
