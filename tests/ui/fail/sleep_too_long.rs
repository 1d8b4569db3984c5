//! A pause that no run may have.

use data_drip::sqlite::prelude::*;

#[backfill(sleep = "48h")]
struct Fix;

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
