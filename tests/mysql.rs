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
    use sqlx::mysql::{MySqlConnection, MySqlPoolOptions};

    use crate::database::Database;
    use crate::database::prelude::DataDrip;
    use crate::suite::backfills::{Fault, Faulty, StampAll};
    use crate::suite::gate::Gate;
    use crate::suite::{run_to_its_end, settled};

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

    async fn settings(conn: &mut MySqlConnection) -> String {
        let settings = "SELECT CONCAT_WS(' ', @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@wait_timeout,
             @@sql_select_limit, CAST(@@autocommit AS SIGNED) /*M! , @@idle_transaction_timeout, @@in_predicate_conversion_threshold */)";
        sqlx::query_scalar(settings).fetch_one(conn).await.unwrap()
    }

    /// What requests and batches set on them is gone when they are given back; in the host's own transaction nothing is set.
    #[tokio::test]
    async fn the_connections_of_a_shared_pool_come_back_as_the_host_has_set_them() {
        let Some(database) = Database::with_items(100).await else { return };
        let hosts =
            "SET SESSION innodb_lock_wait_timeout = 33, SESSION lock_wait_timeout = 44, SESSION wait_timeout = 4444,
             SESSION sql_select_limit = 5555 /*M! , SESSION idle_transaction_timeout = 666 */";
        let pool = MySqlPoolOptions::new()
            .max_connections(3)
            .after_connect(move |conn, _| Box::pin(async move { conn.execute(hosts).await.map(drop) }))
            .connect_lazy_with((*database.pool.connect_options()).clone());
        let builder = DataDrip::builder(pool.clone()).share_pool().slots(2).batch_size(10).state(Gate::default());
        let drip = builder.build().await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        let before = settings(&mut tx).await;
        assert!(before.starts_with("33 44 4444 5555 1"), "{before}");
        let run = drip.enqueue(StampAll { tag: 1 }).in_tx(&mut tx).await.unwrap();
        assert_eq!(settings(&mut tx).await, before);
        tx.commit().await.unwrap();
        let worker = drip.start();
        assert_eq!(settled(&drip, run.id).await.status, RunStatus::Completed);
        let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let waiting = drip.enqueue(StampAll { tag: 2 }).start_at(later).await.unwrap();
        drip.pause(waiting.id).await.unwrap();
        drip.stop(waiting.id).now().await.unwrap();
        drip.retry_failed_batches(waiting.id).await.unwrap_err();
        worker.shutdown().await;
        let mut all = Vec::new();
        for _ in 0..3 {
            let mut conn = pool.acquire().await.unwrap();
            assert_eq!(settings(&mut conn).await, before);
            all.push(conn);
        }
    }
}
