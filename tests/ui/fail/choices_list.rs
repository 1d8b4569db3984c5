//! A list where the function stands that reads one.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(choices = ["a", "b"])]
    wanted: String,
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
