//! A future of an element that cannot move between threads.

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

    async fn process_element(&self, row: Person, conn: &mut Connection) -> sqlx::Result<()> {
        let shared = std::rc::Rc::new(row.id);
        sqlx::query("UPDATE people SET seen = 1").execute(conn).await?;
        drop(shared);
        Ok(())
    }
}

fn main() {}
