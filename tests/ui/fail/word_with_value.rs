//! A word with a value.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(masked = true)]
    token: String,
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
