//! Looking at what a run would do.

use super::backfills::StampAll;
use super::engine;
use crate::database::Database;

#[tokio::test]
async fn a_preview_says_how_many_rows_which_and_how_and_writes_nothing() {
    let Some(database) = Database::with_items(3_000).await else { return };
    let (drip, _) = engine(&database, 1).await;
    let preview = drip.preview(StampAll { tag: 1 }).batch_size(100).await.unwrap();
    assert_eq!((preview.rows.counted, preview.rows.exact, preview.batches), (3_000, true, 30));
    assert_eq!((preview.first_key.as_deref(), preview.last_key.as_deref()), (Some("3"), Some("9000")));
    let first: Vec<_> = preview.sample.columns.iter().map(String::as_str).zip(&preview.sample.rows[0]).collect();
    assert_eq!(first[..3], [("id", &Some("3".to_owned())), ("touched", &Some("0".to_owned())), ("batch", &None)]);
    assert!(preview.scope.sql.contains("items"), "{}", preview.scope.sql);
    assert!(preview.scope.plan.is_some());
    // The second batch, as it has two ends.
    for part in ["300", "600"] {
        assert!(preview.batch.sql.contains(part), "{}", preview.batch.sql);
    }
    let plan = preview.batch.plan.unwrap();
    assert!(!plan.full_scan && plan.indexes.len() == 1 && !plan.words.is_empty(), "{plan:?}");
    assert_eq!(database.number("SELECT COUNT(*) FROM data_drip_backfill_runs").await, 0);
}

#[tokio::test]
async fn a_connection_that_a_preview_had_writes_again() {
    let Some(database) = Database::with_items(3).await else { return };
    let (drip, _) = engine(&database, 1).await;
    drip.preview(StampAll { tag: 1 }).await.unwrap();
    // From the host's pool, which has no other connection in use.
    let run = drip.enqueue(StampAll { tag: 1 }).await.unwrap();
    let preview = drip.preview(StampAll { tag: 1 }).await.unwrap();
    assert_eq!(preview.active_run, Some(run.id));
}
