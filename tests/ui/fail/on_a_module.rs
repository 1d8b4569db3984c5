//! On a module.

use data_drip::sqlite::prelude::*;

#[backfill]
mod fixes {}

fn main() {}
