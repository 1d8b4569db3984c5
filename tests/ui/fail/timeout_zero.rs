//! A batch that may take no time at all.

use data_drip::sqlite::prelude::*;

#[backfill(timeout = "0s")]
struct Fix;

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
