//! After a mistake in each half the rest of the crate is checked as usual: no error but these two.

use data_drip::sqlite::prelude::*;

use data_drip::backfill::Backfill;
use data_drip::options::Options;

#[backfill]
struct Fix {
    #[option(default = "eighteen")]
    age: i64,
}

#[backfill]
impl Fix {
    fn scope(&self) -> Scope {
        Scope::table("people")
    }

    async fn process_batch(&self) {}

    fn helper(&self) -> i64 {
        self.age
    }
}

/// Stands for `enqueue`.
fn enqueue<T: Backfill<Database = sqlx::Sqlite>>(backfill: T) -> &'static str {
    drop(backfill);
    <T as Options>::NAME
}

#[derive(Clone)]
struct Neighbour(i64);

#[allow(dead_code)]
fn rest() {
    let fix = Fix { age: 18 };
    let neighbour = Neighbour(fix.helper());
    let _ = (neighbour.clone().0 + 1, fix.scope());
    let _ = enqueue(fix);
}

fn main() {}
