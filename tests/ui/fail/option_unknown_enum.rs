//! An enum without the derive.

use data_drip::sqlite::prelude::*;

enum Weekday {
    Monday,
}

#[backfill]
struct Fix {
    wanted: Weekday,
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
