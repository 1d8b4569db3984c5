//! A key given twice.

use data_drip::sqlite::prelude::*;

#[backfill(queue = "a", queue = "b")]
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
