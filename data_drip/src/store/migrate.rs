//! Bringing the engine's own tables up to date.

use std::fmt::Write as _;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::backend::{Backend, Statement};
use crate::error::{Error, ErrorKind};
use crate::store::{Columns, one};

/// One migration: its number, its file's name, its SQL.
pub(crate) type File = (i64, &'static str, &'static str);

/// Declares the migrations: the same names in each dialect's folder, one statement or one table each, numbered from 1.
macro_rules! migrations {
    ($($number:literal $file:literal),* $(,)?) => {
        const FILE_COUNT: usize = [$($number),*].len();

        /// The version of the tables that this crate writes; the number of the newest migration.
        pub(crate) const VERSION: i64 = [$($number),*][FILE_COUNT - 1];

        macro_rules! files_of {
            ($dialect:literal) => {
                [$(($number, $file, include_str!(concat!("../../../migrations/", $dialect, "/", $file, ".sql")))),*]
            };
        }
    };
}

migrations! {
    1 "0001_create_schema",
    2 "0002_create_workers",
    3 "0003_create_backfill_runs",
    4 "0004_create_backfill_run_batches",
    5 "0005_create_run_events",
    6 "0006_create_run_permits",
    7 "0007_create_run_logs",
    8 "0008_create_run_log_totals",
    9 "0009_set_version",
    10 "0010_create_worker_locks",
    11 "0011_set_version",
}

/// The migrator's own table: sharing sqlx's default with the host makes each refuse the other's migrations.
const TABLE: &str = "data_drip_migrations";

/// When the engine's tables are created and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migrate {
    /// At start-up, by `build()`: safe when many processes start at once.
    #[default]
    Apply,
    /// Never: `build()` only checks, for roles that may not change the schema. [`Migrate::sql`] is what to run instead where
    /// there are no tables yet. Tables of an older version are brought up to date by a process that starts once with
    /// [`Migrate::Apply`], as a role that may change them.
    Check,
}

impl Migrate {
    /// The SQL that creates DataDrip's tables where there are none yet, for whoever may change the schema to look at and run.
    /// It does not change tables of an older version.
    ///
    /// It also notes in the migrator's own table what it did, so that a later [`Migrate::Apply`] goes on from there.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// println!("{}", data_drip::Migrate::sql::<sqlx::Sqlite>());
    /// ```
    pub fn sql<DB: Backend>() -> String {
        let mut script = format!("{}\n", DB::MIGRATOR_TABLE);
        for migration in migrator(DB::MIGRATIONS).iter() {
            let (version, checksum) = (migration.version, DB::bytes_literal(&migration.checksum));
            let sql = migration.sql.as_str().trim();
            let end = if sql.ends_with(';') { "" } else { ";" };
            let _ = write!(
                script,
                "\n{sql}{end}\nINSERT INTO {TABLE} (version, description, success, checksum, execution_time)\n\
                 VALUES ({version}, '{}', TRUE, {checksum}, 0);\n",
                migration.description
            );
        }
        script
    }
}

/// The migrations of one dialect.
pub(crate) fn migrator(files: &[File]) -> Migrator {
    let migrations = files
        .iter()
        .map(|&(version, file, sql)| {
            let sql = AssertSqlSafe(sql).into_sql_str();
            Migration::new(version, file.into(), MigrationType::Simple, sql, false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name(TABLE);
    // A newer version may have been here: `check` decides whether the two can live together.
    migrator.set_ignore_missing(true);
    migrator
}

/// Refuses a database that says it needs a newer version than this one, or that lacks our tables.
pub(crate) async fn check<DB: Backend>(conn: &mut DB::Connection) -> Result<(), Error> {
    let row = one::<DB>(conn, Statement::of(DB::SQL.select_schema)).await.map_err(|error| {
        Error::new(
            ErrorKind::Configuration,
            "DataDrip's tables are missing: start once with `Migrate::Apply`, or run what `Migrate::sql` prints",
        )
        .caused_by(error)
    })?;
    let Some(row) = row else {
        return Err(Error::new(ErrorKind::Configuration, "the table `data_drip_schema` is empty: restore its row"));
    };
    let mut columns = Columns::<DB>::of(&row);
    let (found, needed) = (columns.int()?, columns.int()?);
    if needed > VERSION {
        return Err(Error::new(
            ErrorKind::Version,
            format!(
                "this database was migrated to version {found} of DataDrip's tables and needs at least version {needed}; \
                 this build knows version {VERSION}: deploy a newer data_drip"
            ),
        ));
    }
    if found < VERSION {
        return Err(Error::new(
            ErrorKind::Version,
            format!(
                "DataDrip's tables are at version {found}, this build needs {VERSION}: start a process once with \
                 `Migrate::Apply`, as a role that may change them (what `Migrate::sql` prints makes new tables only)"
            ),
        ));
    }
    Ok(())
}

/// Whether the tables are there and nothing is left to apply.
async fn is_current<DB: Backend>(conn: &mut DB::Connection) -> bool {
    let Ok(Some(row)) = one::<DB>(conn, Statement::of(DB::SQL.select_schema)).await else { return false };
    Columns::<DB>::of(&row).int().is_ok_and(|found| found >= VERSION)
}

#[cfg(feature = "sqlite")]
pub(crate) mod sqlite {
    use std::time::{Duration, Instant};

    use sqlx::migrate::MigrateError;
    use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool};

    use super::{Error, ErrorKind, FILE_COUNT, File, Migrate, check, is_current, migrator};
    use crate::backend::Backend;

    /// SQLite's migrations.
    pub(crate) const FILES: &[File; FILE_COUNT] = &files_of!("sqlite");

    /// The migrator's own table, as sqlx makes it.
    pub(crate) const MIGRATOR_TABLE: &str = "CREATE TABLE IF NOT EXISTS data_drip_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);";

    /// sqlx's own lock is a no-op on SQLite: processes that start together would run the same migration twice. The
    /// write lock of `BEGIN IMMEDIATE` makes them wait for each other; the migrator's transactions become savepoints.
    pub(crate) async fn run(pool: &SqlitePool, mode: Migrate) -> Result<(), Error> {
        let mut conn = pool.acquire().await?;
        // Looked at without a lock first: a start must not wait for a batch of another process.
        if mode == Migrate::Apply && !is_current::<Sqlite>(&mut conn).await {
            let since = Instant::now();
            while let Err(error) = apply(&mut conn).await {
                if !Sqlite::is_transient(&error) || since.elapsed() > PATIENCE {
                    let message = format!("DataDrip's tables could not be brought up to date: {error}");
                    return Err(Error::new(ErrorKind::Database, message).caused_by(error));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        check::<Sqlite>(&mut conn).await
    }

    /// How long to wait for others that migrate or write.
    const PATIENCE: Duration = Duration::from_mins(1);

    pub(crate) async fn apply(conn: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        // What `run` does once it has its connection; `run` itself asks for a bound that a boxed future cannot prove.
        migrator(FILES).run_direct(None, &mut *tx, false).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        })?;
        tx.commit().await
    }
}

#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    use sqlx::migrate::MigrateError;
    use sqlx::postgres::PgConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres};

    use super::{Error, ErrorKind, FILE_COUNT, File, Migrate, check, is_current, migrator};
    use crate::backend::Statement;
    use crate::store::postgres::pooler;
    use crate::store::{Columns, one};

    /// PostgreSQL's migrations.
    pub(crate) const FILES: &[File; FILE_COUNT] = &files_of!("postgres");

    /// The migrator's own table, as sqlx makes it.
    pub(crate) const MIGRATOR_TABLE: &str = "CREATE TABLE IF NOT EXISTS data_drip_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
);";

    /// What the engine's own SQL needs: `pg_attribute.attgenerated` is the newest.
    const OLDEST: u32 = 120_000;

    /// Processes that start together wait for each other by an advisory lock of the transaction, one for each schema. In one
    /// transaction all files are applied or none: a process that is killed half-way leaves nothing behind, and through
    /// a pooler no lock stays with a connection that goes on to others.
    const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '60s'; \
         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
         SELECT pg_advisory_xact_lock(1684632681, hashtext(current_schema()))";

    pub(crate) async fn run(pool: &PgPool, mode: Migrate) -> Result<(), Error> {
        pooler::check(pool).await?;
        let mut conn = pool.acquire().await?;
        check_server(&mut conn).await?;
        // Looked at without a lock first: an ordinary start waits for nobody.
        if mode == Migrate::Apply && !is_current::<Postgres>(&mut conn).await {
            apply(&pool.connect_options()).await.map_err(|error| {
                let message = format!("DataDrip's tables could not be brought up to date: {error}");
                Error::new(ErrorKind::Database, message).caused_by(error)
            })?;
        }
        check::<Postgres>(&mut conn).await
    }

    async fn check_server(conn: &mut PgConnection) -> Result<(), Error> {
        let version = conn.server_version_num();
        if let Some(version) = version.filter(|&version| version < OLDEST) {
            let message = format!("this server is PostgreSQL {}: DataDrip needs 12 or newer", version / 10_000);
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let about = "SELECT pg_is_in_recovery(), current_setting('server_encoding')";
        let Some(row) = one::<Postgres>(conn, Statement::of(about)).await? else {
            return Err(sqlx::Error::RowNotFound.into());
        };
        let mut columns = Columns::<Postgres>::of(&row);
        let (recovering, encoding) = (columns.flag()?, columns.text()?);
        if encoding != "UTF8" {
            let message = format!(
                "this database keeps text in {encoding}: DataDrip needs UTF8, for errors and lines may hold any character. Make a \
                 database with `CREATE DATABASE .. TEMPLATE template0 ENCODING 'UTF8'`, and move the data there with `pg_dump`"
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        if recovering {
            let message = "this server is a standby, which takes no writes: connect to the primary";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(())
    }

    /// On a connection of its own, closed whatever happens.
    pub(crate) async fn apply(options: &PgConnectOptions) -> sqlx::Result<()> {
        let mut conn = options.connect().await?;
        let applied = apply_on(&mut conn).await;
        let _ = conn.close().await;
        applied
    }

    async fn apply_on(conn: &mut PgConnection) -> sqlx::Result<()> {
        let names = pooler::forget_names(conn);
        let mut tx = conn.begin_with(AssertSqlSafe(format!("{BEGIN}{names}"))).await?;
        migrator(FILES).run_direct(None, &mut *tx, false).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        })?;
        tx.commit().await
    }
}

#[cfg(feature = "mysql")]
pub(crate) mod mysql {
    use sqlx::migrate::MigrateError;
    use sqlx::mysql::MySqlConnectOptions;
    use sqlx::{ConnectOptions, Connection, Executor, MySql, MySqlConnection, MySqlPool};

    use super::{Error, ErrorKind, FILE_COUNT, File, Migrate, check, is_current, migrator};
    use crate::backend::Statement;
    use crate::store::{Columns, one};

    /// What the engine relies on.
    const SETTINGS: &str =
        "SELECT VERSION(), @@log_bin, @@binlog_format, DATABASE(), @@autocommit, @@character_set_connection";

    /// MySQL's migrations.
    pub(crate) const FILES: &[File; FILE_COUNT] = &files_of!("mysql");

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
        // Looked at without a lock first: an ordinary start waits for nobody.
        if mode == Migrate::Apply && !is_current::<MySql>(&mut conn).await {
            apply(&pool.connect_options()).await.map_err(|error| {
                let message = format!("DataDrip's tables could not be brought up to date: {error}");
                Error::new(ErrorKind::Database, message).caused_by(error)
            })?;
        }
        check::<MySql>(&mut conn).await
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
    pub(super) fn too_old(version: &str) -> Option<String> {
        // Some put a version of MySQL before MariaDB's own: `5.5.5-10.11.2-MariaDB`.
        let own = version.strip_prefix("5.5.5-").unwrap_or(version);
        let mut numbers = own.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
        let found = (numbers.next()?, numbers.next()?);
        let (label, oldest) = if version.contains("MariaDB") { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
        (found < oldest).then(|| {
            format!("this server is {label} {}.{}: DataDrip needs {}.{} or newer", found.0, found.1, oldest.0, oldest.1)
        })
    }

    /// On a connection of its own, closed whatever happens.
    pub(crate) async fn apply(options: &MySqlConnectOptions) -> sqlx::Result<()> {
        let mut conn = options.connect().await?;
        let applied = apply_on(&mut conn).await;
        let _ = conn.close().await;
        applied
    }

    async fn apply_on(conn: &mut MySqlConnection) -> sqlx::Result<()> {
        // NULL for an error, 0 when the time was up: sqlx's own lock takes either for a lock.
        if sqlx::query_scalar::<_, Option<i64>>(LOCK).fetch_one(&mut *conn).await? != Some(1) {
            let message = "another process has held the lock `data_drip_migrations/…` of its migration for a minute: start \
                 again when it is done, or end its connection (`SHOW PROCESSLIST`)";
            return Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message)));
        }
        conn.execute(MIGRATOR_TABLE).await?;
        conn.execute(REPAIR).await?;
        let mut migrator = migrator(FILES);
        migrator.set_locking(false);
        migrator.run_direct(None, conn, false).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        })
    }
}

#[cfg(all(test, feature = "mysql"))]
mod mysql_tests {
    use sqlx::MySql;

    use super::*;
    use crate::store::mysql::testing::{Schema, int, run};

    #[tokio::test]
    async fn tables_that_are_missing_are_named_and_those_made_by_hand_are_taken_on() {
        let Some(schema) = Schema::new().await else { return };
        let pool = schema.pool();
        let error = mysql::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
        let mut conn = schema.connect().await;
        run(&mut conn, &Migrate::sql::<MySql>()).await;
        mysql::run(&pool, Migrate::Check).await.unwrap();
        mysql::apply(&schema.options()).await.unwrap();
        assert_eq!(int(&mut conn, "SELECT COUNT(*) FROM data_drip_migrations").await, VERSION);
        let kinds =
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND engine <> 'InnoDB'";
        assert_eq!(int(&mut conn, kinds).await, 0);
    }

    #[tokio::test]
    async fn what_a_process_left_half_done_is_repaired_by_the_next_whichever_file_it_was() {
        let Some(schema) = Schema::new().await else { return };
        let mut conn = schema.connect().await;
        for (version, _, _) in mysql::FILES {
            mysql::apply(&schema.options()).await.unwrap();
            // Killed after the file's own statement, before it was noted; or before that statement.
            let later = format!("DELETE FROM data_drip_migrations WHERE version > {version}");
            run(
                &mut conn,
                &format!("{later}; UPDATE data_drip_migrations SET success = FALSE WHERE version = {version}"),
            )
            .await;
            run(&mut conn, "DELETE FROM data_drip_schema").await;
            mysql::run(&schema.pool(), Migrate::Apply).await.unwrap();
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
        let second = tokio::spawn(async move { mysql::run(&pool, Migrate::Apply).await });
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
            let refused = mysql::too_old(version);
            assert_eq!(refused.is_some(), said.is_some(), "{version}: {refused:?}");
            assert!(said.is_none_or(|said| refused.unwrap().contains(said)), "{version}");
        }
    }
}

#[cfg(all(test, feature = "postgres"))]
mod postgres_tests {
    use sqlx::{Connection, Postgres};

    use super::*;
    use crate::store::postgres::testing::{Schema, int, run};

    #[tokio::test]
    async fn tables_that_are_missing_are_named_and_those_made_by_hand_are_taken_on() {
        let Some(schema) = Schema::new().await else { return };
        let pool = schema.pool();
        let error = postgres::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
        let mut conn = schema.connect().await;
        run(&mut conn, &Migrate::sql::<Postgres>()).await;
        postgres::run(&pool, Migrate::Check).await.unwrap();
        postgres::apply(&schema.options()).await.unwrap();
        assert_eq!(int(&mut conn, "SELECT count(*) FROM data_drip_migrations").await, VERSION);
        let numbers: Vec<_> = postgres::FILES.iter().map(|file| file.0).collect();
        assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_migration_that_ends_half_way_leaves_nothing_behind_and_holds_nobody_up() {
        let Some((schema, mut conn)) = Schema::with("CREATE TABLE data_drip_run_permits (mine text)").await else {
            return;
        };
        let error = postgres::run(&schema.pool(), Migrate::Apply).await.unwrap_err();
        assert!(error.to_string().contains("data_drip_run_permits"), "{error}");
        let left =
            "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        assert_eq!(int(&mut conn, left).await, 1, "all files or none");
        run(&mut conn, "DROP TABLE data_drip_run_permits").await;
        postgres::run(&schema.pool(), Migrate::Apply).await.unwrap();
    }

    #[tokio::test]
    async fn who_migrates_waits_for_who_was_first() {
        let Some((schema, mut first)) = Schema::with("").await else { return };
        let mut tx = first.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(1684632681, hashtext(current_schema()))")
            .execute(&mut *tx)
            .await
            .unwrap();
        let pool = schema.pool();
        let second = tokio::spawn(async move { postgres::run(&pool, Migrate::Apply).await });
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND objid::bigint = hashtext(current_schema())::bigint & 4294967295";
        while int(&mut tx, waits).await == 0 {
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_database_that_needs_a_newer_version_is_refused_and_one_that_is_only_newer_is_not() {
        let Some((schema, mut conn)) = Schema::with("").await else { return };
        let pool = schema.pool();
        postgres::run(&pool, Migrate::Apply).await.unwrap();
        run(
            &mut conn,
            "UPDATE data_drip_schema SET version = 1007;
             INSERT INTO data_drip_migrations (version, description, success, checksum, execution_time)
             VALUES (1007, 'newer', TRUE, '', 0)",
        )
        .await;
        postgres::run(&pool, Migrate::Apply).await.unwrap();
        run(&mut conn, "UPDATE data_drip_schema SET min_compatible_version = 1007").await;
        for mode in [Migrate::Apply, Migrate::Check] {
            let error = postgres::run(&pool, mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Version);
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::{AssertSqlSafe, SqlitePool};

    use super::*;
    use crate::store::sqlite::testing::File;

    async fn pool(file: &File) -> SqlitePool {
        SqlitePool::connect_with(file.options()).await.unwrap()
    }

    async fn say(pool: &SqlitePool, script: &str) {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(pool).await.unwrap();
    }

    #[tokio::test]
    async fn migrations_run_once_beside_the_hosts_own() {
        let file = File::new();
        let pool = pool(&file).await;
        say(&pool, "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL)").await;
        for _ in 0..2 {
            sqlite::run(&pool, Migrate::Apply).await.unwrap();
        }
        let applied: i64 =
            sqlx::query_scalar("SELECT count(*) FROM data_drip_migrations").fetch_one(&pool).await.unwrap();
        assert_eq!(applied, VERSION);
        let hosts: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
        assert_eq!(hosts, 0);
    }

    #[tokio::test]
    async fn tables_that_are_missing_are_named_when_only_checked() {
        let file = File::new();
        let error = sqlite::run(&pool(&file).await, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("Migrate::Apply"), "{error}");
    }

    #[tokio::test]
    async fn tables_made_by_hand_from_the_printed_sql_are_taken_on_and_migrated_no_second_time() {
        let file = File::new();
        let pool = pool(&file).await;
        say(&pool, &Migrate::sql::<sqlx::Sqlite>()).await;
        sqlite::run(&pool, Migrate::Check).await.unwrap();
        // As an older version left it: there is something to look for.
        say(&pool, "UPDATE data_drip_schema SET version = 1").await;
        let error = sqlite::run(&pool, Migrate::Check).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Version);
        for part in ["are at version 1, this build needs", "a process once with `Migrate::Apply`", "new tables only"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        sqlite::apply(&mut pool.acquire().await.unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_needs_a_newer_version_is_refused_and_one_that_is_only_newer_is_not() {
        let file = File::new();
        let pool = pool(&file).await;
        sqlite::run(&pool, Migrate::Apply).await.unwrap();
        // A newer version was here, and left a migration that this one does not know.
        say(
            &pool,
            "UPDATE data_drip_schema SET version = 1007;
             INSERT INTO data_drip_migrations (version, description, success, checksum, execution_time)
             VALUES (1007, 'newer', TRUE, x'00', 0)",
        )
        .await;
        sqlite::run(&pool, Migrate::Apply).await.unwrap();
        say(&pool, "UPDATE data_drip_schema SET min_compatible_version = 1007").await;
        for mode in [Migrate::Apply, Migrate::Check] {
            let error = sqlite::run(&pool, mode).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Version);
            assert!(error.to_string().contains("needs at least version 1007"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_schema_says_the_version_that_the_code_knows() {
        let file = File::new();
        let pool = pool(&file).await;
        sqlite::run(&pool, Migrate::Apply).await.unwrap();
        let version: i64 = sqlx::query_scalar("SELECT version FROM data_drip_schema").fetch_one(&pool).await.unwrap();
        assert_eq!(version, VERSION);
        let numbers: Vec<_> = sqlite::FILES.iter().map(|file| file.0).collect();
        assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
    }
}
