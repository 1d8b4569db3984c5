//! A generic backfill.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix<T> {
    wanted: T,
}

#[backfill]
impl<T> Fix<T> {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
