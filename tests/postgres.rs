//! The engine on PostgreSQL, end to end, on the server that `DATA_DRIP_TEST_POSTGRES` names.

#![cfg(feature = "postgres")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

#[path = "suite/calls.rs"]
mod calls;
#[path = "support/postgres.rs"]
pub mod database;
mod direct;
#[cfg(unix)]
mod processes;
mod suite;

#[cfg(unix)]
#[test]
#[ignore = "the entrance of child processes: by itself it does nothing"]
fn child_process() {
    herd::serve(processes::execute);
}

/// What only PostgreSQL does.
mod dialect {
    use data_drip::{BatchStatus, RunStatus};

    use crate::database::Database;
    use crate::suite::backfills::{Fault, Faulty};
    use crate::suite::run_to_its_end;

    #[tokio::test]
    async fn a_constraint_that_is_looked_at_with_the_commit_fails_the_batch_and_keeps_nothing() {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault: Fault::Dangling, item: 99 }, 25).await;
        assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 3, 1));
        assert!(batches[1].error.as_deref().unwrap().contains("pledges_item_fkey"), "{batches:?}");
        assert_eq!((batches[1].status, batches[1].attempts), (BatchStatus::Failed, 1));
        assert_eq!(database.number("SELECT count(*) FROM pledges").await, 0);
    }

    #[tokio::test]
    async fn a_table_that_a_batch_makes_is_there_with_its_commit() {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, _) = run_to_its_end(&database, Faulty { fault: Fault::Ddl, item: 99 }, 25).await;
        assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
        assert_eq!(database.number("SELECT count(*) FROM made_by_a_batch").await, 0);
    }
}
