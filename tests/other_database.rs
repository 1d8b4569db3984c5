//! A backfill that is written for another database than the pool's.

#![cfg(all(feature = "sqlite", feature = "postgres"))]

use data_drip::ErrorKind;
use data_drip::sqlite::prelude::*;

/// On SQLite.
#[backfill]
struct Elsewhere;

#[backfill]
impl Elsewhere {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) {
        let _ = batch.len().await;
    }
}

#[tokio::test]
async fn a_backfill_for_another_database_is_a_start_up_error_that_names_both() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let error = data_drip::postgres::prelude::DataDrip::builder(pool).build().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let said = error.to_string();
    assert!(said.contains("`elsewhere`") && said.contains("written for SQLite, but the pool is PostgreSQL"), "{said}");
}
