//! A backfill that is not there in every build, on either side of the attribute.

#[allow(unused_imports)]
use data_drip::sqlite::prelude::*;

#[backfill]
#[cfg(any())]
struct Gone {
    age: i64,
}

#[backfill]
#[cfg(any())]
impl Gone {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch;
    }
}

fn main() {}
