//! The engine on MySQL or MariaDB, end to end, on the server that `DATA_DRIP_TEST_MYSQL` names.

#![cfg(feature = "mysql")]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

#[path = "support/mysql.rs"]
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

/// What only MySQL and MariaDB do.
mod dialect {
    use data_drip::{BatchStatus, ErrorKind, RunStatus};
    use sqlx::Executor;
    use sqlx::mysql::MySqlPoolOptions;

    use crate::database::Database;
    use crate::database::prelude::DataDrip;
    use crate::suite::backfills::{Fault, Faulty};
    use crate::suite::run_to_its_end;

    #[tokio::test]
    async fn ddl_in_a_batch_commits_it_implicitly_and_that_is_noticed() {
        let Some(database) = Database::with_items(100).await else { return };
        let (run, batches) = run_to_its_end(&database, Faulty { fault: Fault::Ddl, item: 99 }, 25).await;
        assert_eq!((run.status, run.counts.completed, run.counts.failed), (RunStatus::Failed, 3, 1));
        assert!(batches[1].error.as_deref().unwrap().contains(crate::database::BROKEN), "{batches:?}");
        assert_eq!((batches[1].status, batches[1].attempts), (BatchStatus::Failed, 1));
    }

    #[tokio::test]
    async fn connections_that_lose_what_they_are_given_are_refused_with_what_to_do() {
        let Some(database) = Database::empty().await else { return };
        for (setting, mend) in
            [("SET autocommit = 0", "leave `autocommit` on"), ("SET NAMES latin1", "`SET NAMES utf8mb4`")]
        {
            let options = MySqlPoolOptions::new()
                .after_connect(move |conn, _| Box::pin(async move { conn.execute(setting).await.map(drop) }));
            let pool = options.connect_lazy_with((*database.pool.connect_options()).clone());
            let error = DataDrip::builder(pool).state(crate::suite::gate::Gate::default()).build().await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(mend), "{error}");
        }
    }
}
