//! A generic enum.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday<T> {
    Monday,
    Other(T),
}

fn main() {}
