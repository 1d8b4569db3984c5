//! A binary that depends on both crates and names neither: the compiler drops them.
#![forbid(unsafe_code)]

#[test]
#[should_panic(expected = "use my_backfills as _;")]
fn an_empty_registry_says_what_to_write() {
    data_drip::assert_backfills!();
}

#[tokio::test]
async fn an_empty_registry_is_an_error_of_the_start_where_backfills_are_required() {
    use data_drip::sqlite::prelude::DataDrip;

    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let error = DataDrip::builder(pool.clone()).share_pool().require_backfills().build().await.err().unwrap();
    assert_eq!(error.kind(), data_drip::ErrorKind::Configuration);
    assert!(error.to_string().contains("use my_backfills as _;"), "{error}");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'data_drip%'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(tables).fetch_one(&pool).await.unwrap(),
        0,
        "refused before anything is made"
    );
    // Without, it is a warning.
    assert!(DataDrip::builder(pool).share_pool().build().await.unwrap().backfills().is_empty());
}
