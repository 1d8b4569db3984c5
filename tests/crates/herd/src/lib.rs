//! Processes for tests: the test binary itself, started again, which tests can hold, suspend, kill and ask to end.
//!
//! - [`Child`]: such a process, as the test sees it; [`serve`] is what it does
//! - [`Folder`]: where both meet: logs, and the [`moments`] at which a test holds a process
//! - [`eventually`]: waiting for something that shows, with a bound
//!
//! It knows of no database and brings no backfill.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod child;
mod folder;
pub mod moments;
mod patience;

#[cfg(unix)]
pub use child::{Child, serve, start, start_in};
pub use folder::Folder;
pub use moments::Moment;
pub use patience::{PATIENCE, eventually};
