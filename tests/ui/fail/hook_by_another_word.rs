//! Hooks under the names that other libraries give them.

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

    async fn on_run_finished(&self, _run: &Run) {}

    async fn on_failure(&self, _run: &Run) {}

    async fn after_batch(&self, _run: &Run, _batch: &RunBatch) {}

    async fn run_completed(&self, _run: &Run) {}
}

fn main() {}
