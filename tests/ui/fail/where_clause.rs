//! A bound without anything to bound.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix
where
    String: Clone;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
