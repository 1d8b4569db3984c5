//! A hook under the name that another library gives it: its moment.

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

    async fn after_batch(&self, _run: &Run, _batch: &RunBatch) {}
}

fn main() {}
