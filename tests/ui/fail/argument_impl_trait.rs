//! An argument of no particular type.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, mailer: impl Send) {
        let _ = (batch, mailer);
    }
}

fn main() {}
