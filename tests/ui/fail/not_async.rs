//! A processing function that is not async.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
