//! A default above its own bound.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = 99, max = 18)]
    value: i64,
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
