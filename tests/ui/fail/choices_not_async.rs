//! A choices function that is not async.

use data_drip::sqlite::prelude::*;

fn read(conn: &mut Connection) -> sqlx::Result<Vec<String>> {
    let _ = conn;
    Ok(vec![])
}

#[backfill]
struct Fix {
    #[option(choices = read)]
    name: String,
}

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
