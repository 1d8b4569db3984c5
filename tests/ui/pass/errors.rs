//! Every kind of result that user code comes with.

use data_drip::sqlite::prelude::*;

macro_rules! backfill_returning {
    ($name:ident, $result:ty, $value:expr) => {
        #[backfill]
        struct $name;

        #[backfill]
        impl $name {
            fn scope(&self) -> Scope {
                Scope::table("people")
            }

            async fn process_batch(&self, batch: &mut Batch<'_>) -> $result {
                let _ = batch;
                $value
            }
        }
    };
}

backfill_returning!(Nothing, (), ());
backfill_returning!(Ours, data_drip::Result, Ok(()));
backfill_returning!(Anyhow, anyhow::Result<()>, Err(anyhow::anyhow!("no")));
backfill_returning!(Sqlx, sqlx::Result<()>, Ok(()));
backfill_returning!(Text, Result<(), String>, Err("no".to_owned()));
backfill_returning!(Boxed, Result<(), Box<dyn std::error::Error + Send + Sync>>, Err("no".into()));
backfill_returning!(Plain, std::result::Result<(), std::num::ParseIntError>, Ok(()));

fn main() {}
