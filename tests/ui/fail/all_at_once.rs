//! Several mistakes of both halves, reported together.

use data_drip::sqlite::prelude::*;

#[backfill(batchsize = 100, sleep = 30)]
struct Fix {
    #[option(defualt = 18, min = 10, max = 5)]
    age: i64,
    #[option(default = 3)]
    name: Option<String>,
}

#[backfill]
impl Fix {
    async fn scope(&self) -> Scope {
        Scope::table("people")
    }

    fn process_element(&self, row: i64) {
        let _ = row;
    }

    async fn on_run_finished(&self, run: &Run) {
        let _ = run;
    }
}

fn main() {}
