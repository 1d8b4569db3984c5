//! A key given twice.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(min = 1, min = 2)]
    age: i64,
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
