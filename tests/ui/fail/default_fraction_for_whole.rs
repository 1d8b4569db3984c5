//! A fraction as the default of a whole number.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = 1.5)]
    age: u32,
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
