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
mod walk;

pub use error::{Error, ErrorKind, Failure, FieldError, Result};
