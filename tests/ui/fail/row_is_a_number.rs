//! One column read as what is in it.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, id: i64, conn: &mut Connection) {
        let _ = (id, conn);
    }
}

fn main() {}
