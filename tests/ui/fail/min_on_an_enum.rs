//! A bound on an enum.

use data_drip::sqlite::prelude::*;

#[derive(OptionEnum)]
enum Weekday {
    Monday,
}

#[backfill]
struct Fix {
    #[option(min = Weekday::Monday)]
    day: Weekday,
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
