//! A misspelt key of a variant.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday {
    #[option(lable = "Monday")]
    Monday,
}

fn main() {}
