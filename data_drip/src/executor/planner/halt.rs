//! Why planning ends early, and what an error of reading the scope means.

use crate::backend::Backend;
use crate::error::{Error, ErrorKind};

/// Why planning ended early.
pub(super) enum Halt {
    /// The run is not running any more, or the role is lost: nothing to say.
    Over,
    /// The run cannot be planned: it fails with this.
    Refused(String),
    /// The database did not answer; another round tries again.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// What an error of reading the scope means: only what can go away by itself is tried again.
pub(super) fn halt<DB: Backend>(error: &Error) -> Halt {
    use std::error::Error as _;
    if error.kind() != ErrorKind::Database {
        return Halt::Refused(error.to_string());
    }
    match error.source().and_then(|source| source.downcast_ref::<sqlx::Error>()) {
        Some(source) if is_of_the_connection::<DB>(source) => Halt::Database(sqlx::Error::Protocol(error.to_string())),
        // What the database says about the user's table: an unknown column, a wrong type, text that is none.
        Some(source) => Halt::Refused(format!("planning failed: {source}")),
        None => Halt::Refused(error.to_string()),
    }
}

/// Whether an error says something about the way to the database, or about its load, and nothing about what was asked.
fn is_of_the_connection<DB: Backend>(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    matches!(error, Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed) || DB::is_transient(error)
}
