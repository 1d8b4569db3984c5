//! A state by reference.

use data_drip::sqlite::prelude::*;

struct Mailer;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, mailer: &State<Mailer>) {
        let _ = (batch, mailer);
    }
}

fn main() {}
