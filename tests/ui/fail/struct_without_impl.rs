//! A struct without its impl.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

fn main() {}
