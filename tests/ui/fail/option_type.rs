//! A type that no form knows.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    wanted: std::time::Duration,
}

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
