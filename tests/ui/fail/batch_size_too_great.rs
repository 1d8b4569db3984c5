//! A number that does not fit.

use data_drip::sqlite::prelude::*;

#[backfill(batch_size = 99_999_999_999_999_999_999)]
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
