//! A status that a run has and a batch has not.

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

    async fn on_batch_paused(&self, _run: &Run, _batch: &RunBatch) {}
}

fn main() {}
