//! The backfills of this application, one file each.
//!
//! A backfill is a struct, whose fields are its options, and an `impl` with `scope` and one processing function.
//! Nothing else has to be registered: a backfill that is linked into the program is found.

mod celsius;
mod utc_time;

pub use celsius::ConvertToCelsius;
pub use utc_time::{AmbiguousHours, ComputeUtcTime};
