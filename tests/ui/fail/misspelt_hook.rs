//! A misspelt hook.

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

    async fn on_run_complete(&self, run: &Run) {
        let _ = run;
    }
}

fn main() {}
