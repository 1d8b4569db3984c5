//! `#[backfill]` on a field.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[backfill(default = 3)]
    wanted: i64,
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
