//! A processing function whose error is no error.

use data_drip::sqlite::prelude::*;

struct NoError;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> Result<(), NoError> {
        let _ = batch;
        Ok(())
    }
}

fn main() {}
