//! The row by reference.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, row: &(i64,), conn: &mut Connection) {
        let _ = (row.0, conn);
    }
}

fn main() {}
