//! Bringing the engine's tables up to date on MySQL and MariaDB.

use sqlx::{Executor, MySql, MySqlConnection, MySqlPool};

use crate::backend::Statement;
use crate::error::{Error, ErrorKind};
use crate::store::migrate::{self, Migrate, cause_of, migrator};
use crate::store::{Columns, one};

/// What the engine relies on.
const SETTINGS: &str =
    "SELECT VERSION(), @@log_bin, @@binlog_format, DATABASE(), @@autocommit, @@character_set_connection";

/// The migrator's own table, as sqlx makes it, but in the engine that keeps its promises.
pub(crate) const MIGRATOR_TABLE: &str = "CREATE TABLE IF NOT EXISTS data_drip_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
) ENGINE = InnoDB;";

/// Processes that start together wait for each other. The lock ends with its session, however that ends.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('data_drip_migrations/', MD5(DATABASE())), 60)";

/// DDL commits as it goes: a process that was killed in the middle leaves its file marked as begun. Every file can be
/// applied again.
const REPAIR: &str = "DELETE FROM data_drip_migrations WHERE NOT success";

pub(crate) async fn run(pool: &MySqlPool, mode: Migrate) -> Result<(), Error> {
    let mut conn = pool.acquire().await?;
    check_server(&mut conn).await?;
    migrate::bring_up::<MySql>(pool, &mut conn, mode, |conn| Box::pin(apply_on(conn))).await
}

async fn check_server(conn: &mut MySqlConnection) -> Result<(), Error> {
    let refused = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    let row = one::<MySql>(conn, Statement::of(SETTINGS)).await?;
    let Some(row) = row else { return Err(sqlx::Error::RowNotFound.into()) };
    let mut columns = Columns::<MySql>::of(&row);
    let (version, logs, format) = (columns.text()?, columns.flag()?, columns.text()?);
    if let Some(message) = too_old(&version) {
        return refused(message);
    }
    if logs && format == "STATEMENT" {
        return refused(
            "this server writes its binary log by statement, and takes no writes in READ COMMITTED then, which \
             batches need: `SET GLOBAL binlog_format = 'ROW'`"
                .to_owned(),
        );
    }
    if columns.opt_text()?.is_none() {
        return refused("the pool's connections are in no database: name one in its URL".to_owned());
    }
    if !columns.flag()? {
        let message = "the pool's connections do not commit by themselves, which DataDrip's statements rely on: leave \
            `autocommit` on, and begin transactions where you want them";
        return refused(message.to_owned());
    }
    let set = columns.text()?;
    if set != "utf8mb4" {
        return refused(format!(
            "the pool's connections have the character set {set}, which loses what it does not know, of keys too: \
             leave it at sqlx's own, `SET NAMES utf8mb4`"
        ));
    }
    Ok(())
}

/// `SKIP LOCKED` and `JSON_TABLE` are the newest that the engine's own SQL needs.
fn too_old(version: &str) -> Option<String> {
    // Some put a version of MySQL before MariaDB's own: `5.5.5-10.11.2-MariaDB`.
    let own = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = own.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next()?, numbers.next()?);
    let (label, oldest) = if version.contains("MariaDB") { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
    (found < oldest).then(|| {
        format!("this server is {label} {}.{}: DataDrip needs {}.{} or newer", found.0, found.1, oldest.0, oldest.1)
    })
}

#[cfg(test)]
pub(crate) async fn apply(options: &sqlx::mysql::MySqlConnectOptions) -> sqlx::Result<()> {
    migrate::alone::<MySql>(options, |conn| Box::pin(apply_on(conn))).await
}

async fn apply_on(conn: &mut MySqlConnection) -> sqlx::Result<()> {
    // NULL for an error, 0 when the time was up: sqlx's own lock takes either for a lock.
    if sqlx::query_scalar::<_, Option<i64>>(LOCK).fetch_one(&mut *conn).await? != Some(1) {
        let message = "another process has held the lock `data_drip_migrations/…` of its migration for a minute: start again \
                       when it is done, or end its connection (`SHOW PROCESSLIST`)";
        return Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message)));
    }
    conn.execute(MIGRATOR_TABLE).await?;
    conn.execute(REPAIR).await?;
    let mut migrator = migrator(migrate::MYSQL);
    migrator.set_locking(false);
    migrator.run_direct(None, conn, false).await.map_err(cause_of)
}

#[cfg(test)]
mod tests {
    use sqlx::MySql;

    use super::*;
    use crate::store::migrate::VERSION;
    use crate::store::mysql::testing::{Schema, int, run};

    #[tokio::test]
    async fn tables_that_are_missing_are_named_and_those_made_by_hand_are_taken_on() {
        let Some(schema) = Schema::new().await else { return };
        let pool = schema.pool();
        let error = super::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
        let mut conn = schema.connect().await;
        run(&mut conn, &Migrate::sql::<MySql>()).await;
        super::run(&pool, Migrate::Check).await.unwrap();
        super::apply(&schema.options()).await.unwrap();
        assert_eq!(int(&mut conn, "SELECT COUNT(*) FROM data_drip_migrations").await, VERSION);
        let kinds =
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND engine <> 'InnoDB'";
        assert_eq!(int(&mut conn, kinds).await, 0);
    }

    #[tokio::test]
    async fn what_a_process_left_half_done_is_repaired_by_the_next_whichever_file_it_was() {
        let Some(schema) = Schema::new().await else { return };
        let mut conn = schema.connect().await;
        for (version, _, _) in migrate::MYSQL {
            super::apply(&schema.options()).await.unwrap();
            // Killed after the file's own statement, before it was noted; or before that statement.
            let later = format!("DELETE FROM data_drip_migrations WHERE version > {version}");
            run(
                &mut conn,
                &format!("{later}; UPDATE data_drip_migrations SET success = FALSE WHERE version = {version}"),
            )
            .await;
            run(&mut conn, "DELETE FROM data_drip_schema").await;
            super::run(&schema.pool(), Migrate::Apply).await.unwrap();
            assert_eq!(int(&mut conn, "SELECT COUNT(*) FROM data_drip_migrations WHERE success").await, VERSION);
        }
    }

    #[tokio::test]
    async fn who_migrates_waits_for_who_was_first() {
        let Some(schema) = Schema::new().await else { return };
        let mut first = schema.connect().await;
        let lock = "SELECT GET_LOCK(CONCAT('data_drip_migrations/', MD5(DATABASE())), 0)";
        assert_eq!(int(&mut first, lock).await, 1);
        let pool = schema.pool();
        let second = tokio::spawn(async move { super::run(&pool, Migrate::Apply).await });
        let waiting =
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND state = 'User lock'";
        while int(&mut first, waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        run(&mut first, "DO RELEASE_ALL_LOCKS()").await;
        second.await.unwrap().unwrap();
    }

    #[test]
    fn servers_that_are_too_old_are_named() {
        for (version, said) in [
            ("10.5.9-MariaDB-log", Some("MariaDB 10.5: DataDrip needs 10.6")),
            ("5.5.5-10.4.1-MariaDB", Some("MariaDB 10.4")),
            ("5.7.44-log", Some("MySQL 5.7: DataDrip needs 8.0")),
            ("10.6.0-MariaDB", None),
            ("11.4.2-MariaDB-ubu2404", None),
            ("8.0.36", None),
            ("9.1.0", None),
        ] {
            let refused = super::too_old(version);
            assert_eq!(refused.is_some(), said.is_some(), "{version}: {refused:?}");
            assert!(said.is_none_or(|said| refused.unwrap().contains(said)), "{version}");
        }
    }
}
