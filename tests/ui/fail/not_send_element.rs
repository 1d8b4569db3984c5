//! A future of an element that cannot move between threads.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_element(&self, row: (i64,), conn: &mut Connection) -> sqlx::Result<()> {
        let shared = std::rc::Rc::new(row.0);
        sqlx::query("UPDATE people SET seen = 1").execute(conn).await?;
        drop(shared);
        Ok(())
    }
}

fn main() {}
