//! Choices where there is no choice.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix {
    #[option(choices = read)]
    active: bool,
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
