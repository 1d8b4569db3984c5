//! A default expression of another type.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = std::time::Duration::ZERO)]
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
