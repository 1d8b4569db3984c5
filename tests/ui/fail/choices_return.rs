//! A choices function that returns something else.

use data_drip::sqlite::prelude::*;

async fn read(conn: &mut Connection) -> Vec<String> {
    let _ = conn;
    vec![]
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
