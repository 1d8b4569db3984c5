//! A key of the struct on the impl.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill(batch_size = 5)]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
