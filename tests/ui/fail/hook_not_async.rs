//! A hook that is not async.

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

    fn on_run_failed(&self, run: &Run) {
        let _ = run;
    }
}

fn main() {}
