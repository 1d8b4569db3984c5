//! An enum with fields.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday {
    Monday,
    Other(String),
}

fn main() {}
