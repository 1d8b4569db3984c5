//! A backfill that is written for another database than the pool's.

#![cfg(all(feature = "sqlite", any(feature = "postgres", feature = "mysql")))]

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

/// The database is never asked: it is not there.
fn names_both(error: &data_drip::Error, pool: &str) {
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let (said, expected) = (error.to_string(), format!("written for SQLite, but the pool is {pool}"));
    assert!(said.contains("`elsewhere`") && said.contains(&expected), "{said}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres_a_backfill_for_another_database_is_a_start_up_error_that_names_both() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let error = data_drip::postgres::prelude::DataDrip::builder(pool).build().await.err().unwrap();
    names_both(&error, "PostgreSQL");
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn on_mysql_a_backfill_for_another_database_is_a_start_up_error_that_names_both() {
    let pool = sqlx::MySqlPool::connect_lazy("mysql://nobody@127.0.0.1:1/nothing").unwrap();
    let error = data_drip::mysql::prelude::DataDrip::builder(pool).build().await.err().unwrap();
    names_both(&error, "MySQL");
}
