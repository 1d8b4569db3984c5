//! The row by reference.

use data_drip::sqlite::prelude::*;

#[derive(sqlx::FromRow)]
struct Person {
    id: i64,
}


#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, row: &Person, conn: &mut Connection) {
        let _ = (row.id, conn);
    }
}

fn main() {}
