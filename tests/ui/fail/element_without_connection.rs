//! A missing argument.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, row: (i64,)) {
        let _ = row.0;
    }
}

fn main() {}
