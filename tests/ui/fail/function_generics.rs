//! A processing function with lifetimes of its own.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch<'a>(&'a self, batch: &'a mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
