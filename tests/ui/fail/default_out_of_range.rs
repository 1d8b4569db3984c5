//! A default that does not fit its type.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = 300)]
    age: Option<i8>,
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
