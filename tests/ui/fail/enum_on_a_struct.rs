//! The derive on a struct.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
struct Weekday;

fn main() {}
