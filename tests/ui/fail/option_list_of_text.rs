//! A list of anything but an enum.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    names: Vec<String>,
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
