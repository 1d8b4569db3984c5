//! The connection before the row.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, conn: &mut Connection, row: (i64,)) {
        let _ = (conn, row);
    }
}

fn main() {}
