//! A connection besides the batch.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, conn: &mut Connection) {
        let _ = (batch, conn);
    }
}

fn main() {}
