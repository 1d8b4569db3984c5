//! On a function.

use data_drip::sqlite::prelude::*;

#[backfill]
async fn fix() {}

fn main() {}
