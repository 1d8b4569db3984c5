//! Impls of traits beside the backfill are the user's own.

use data_drip::sqlite::prelude::*;

#[backfill]
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

impl Clone for Fix {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {
    let _ = Fix.clone();
}
