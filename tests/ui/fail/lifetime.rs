//! A backfill that borrows.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix<'a> {
    wanted: &'a str,
}

#[backfill]
impl Fix<'_> {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
