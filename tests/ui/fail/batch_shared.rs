//! The batch by a shared reference.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
