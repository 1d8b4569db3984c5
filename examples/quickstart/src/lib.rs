//! A host application with two backfills: hourly weather observations at the airports of New York, on `SQLite`.
//!
//! A reader's map:
//!
//! - [`backfills`]: **start here**: what a backfill looks like
//! - [`weather`]: the host's own table, and the data that it is filled with once
//! - [`demo`]: starts runs from code and follows them
//! - [`check`]: compares the result with the published one, row by row
//! - [`site`]: the host's router, with the dashboard mounted in it
//! - [`terminal`]: what a person sees meanwhile
//!
//! It is a library so that its tests can name the backfills; `main.rs` is the program.
#![forbid(unsafe_code)]

pub mod backfills;
pub mod check;
pub mod demo;
pub mod site;
pub mod terminal;
pub mod weather;
