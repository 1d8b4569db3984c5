//! Two variants stored alike.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday {
    Monday,
    #[option(rename = "monday")]
    Moonday,
}

fn main() {}
