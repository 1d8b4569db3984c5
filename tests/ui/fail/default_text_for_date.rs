//! Text as the default of a date.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(default = "2026-01-31")]
    day: chrono::NaiveDate,
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
