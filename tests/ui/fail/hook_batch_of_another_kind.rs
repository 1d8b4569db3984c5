//! A batch hook with the batch that is processed.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }

    async fn on_batch_failed(&self, run: &Run, batch: &mut Batch<'_>) {
        let _ = (run, batch);
    }
}

fn main() {}
