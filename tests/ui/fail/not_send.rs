//! A future that cannot move between threads.

use data_drip::sqlite::prelude::*;

#[backfill]
struct Fix;

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let shared = std::rc::Rc::new(1);
        std::future::ready(batch.run().id).await;
        drop(shared);
    }
}

fn main() {}
