//! An enum without variants.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday {}

fn main() {}
