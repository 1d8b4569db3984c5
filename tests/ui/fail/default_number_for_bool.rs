//! A number as the default of a yes or no.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = 1)]
    value: bool,
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
