//! A boxed error that cannot leave its thread.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> Result<(), Box<dyn std::error::Error>> {
        batch.delete_all().execute().await?;
        Ok(())
    }
}

fn main() {}
