//! A processing function without `&self`.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
