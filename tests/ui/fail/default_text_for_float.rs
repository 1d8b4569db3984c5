//! Text as the default of a fraction.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = "half")]
    value: f64,
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
