//! On an enum.

use data_drip::sqlite::prelude::*;

#[backfill]
enum Fix {
    One,
}

fn main() {}
