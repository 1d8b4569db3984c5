//! A zoo of backfills, one per behaviour, and what tests need to watch them.
//!
//! - [`backfills`]: the animals
//! - [`Habitat`]: a database file with rows to process and a ledger of who processed them
//! - [`audit`](Habitat::audit): every row of a completed batch once, every other row never
//! - [`moments`]: places in a backfill at which a test can hold a process
//! - [`Child`]: a process that executes backfills and can be killed, suspended and asked to end

#![forbid(unsafe_code)]

mod audit;
pub mod backfills;
#[cfg(unix)]
mod child;
mod habitat;

#[cfg(unix)]
pub use child::{Leave, Orders, serve};
pub use habitat::{Habitat, Journal};
#[cfg(unix)]
pub use herd::Child;
pub use herd::{Moment, PATIENCE, eventually, moments};
