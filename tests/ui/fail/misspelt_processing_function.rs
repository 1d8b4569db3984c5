//! A processing function whose name nearly fits.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batches(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
