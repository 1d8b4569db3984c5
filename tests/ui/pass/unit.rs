//! No options, no settings, and nothing returned.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Touch;

#[backfill]
impl Touch {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch.run();
    }
}

#[backfill]
struct Braces {}

#[backfill]
impl Braces {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> Result<(), std::num::ParseIntError> {
        let _ = batch;
        Ok(())
    }
}

fn main() {}
