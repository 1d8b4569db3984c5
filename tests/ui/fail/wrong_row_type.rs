//! A row type that is none.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, row: std::time::Duration, conn: &mut Connection) {
        let _ = (row, conn);
    }
}

fn main() {}
