//! Bringing the engine's own tables up to date.

use std::fmt::Write as _;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use sqlx::{ConnectOptions as _, Connection as _};

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

/// SQLite's migrations.
#[cfg(feature = "sqlite")]
pub(crate) const SQLITE: &[File; FILE_COUNT] = &files_of!("sqlite");

/// PostgreSQL's migrations.
#[cfg(feature = "postgres")]
pub(crate) const POSTGRES: &[File; FILE_COUNT] = &files_of!("postgres");

/// MySQL's migrations, and MariaDB's.
#[cfg(feature = "mysql")]
pub(crate) const MYSQL: &[File; FILE_COUNT] = &files_of!("mysql");

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
pub(crate) async fn is_current<DB: Backend>(conn: &mut DB::Connection) -> bool {
    let Ok(Some(row)) = one::<DB>(conn, Statement::of(DB::SQL.select_schema)).await else { return false };
    Columns::<DB>::of(&row).int().is_ok_and(|found| found >= VERSION)
}

/// Why a migration failed, as the driver said it.
pub(crate) fn cause_of(error: MigrateError) -> sqlx::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    }
}

pub(crate) fn not_applied(error: sqlx::Error) -> Error {
    let message = format!("DataDrip's tables could not be brought up to date: {error}");
    Error::new(ErrorKind::Database, message).caused_by(error)
}

/// Applies what there is to apply, on a connection that is there for nothing else.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) type Apply<DB> =
    for<'c> fn(&'c mut <DB as sqlx::Database>::Connection) -> crate::backfill::BoxFuture<'c, sqlx::Result<()>>;

/// On a connection of its own, closed whatever happens.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) async fn alone<DB: Backend>(
    options: &crate::backend::ConnectOptions<DB>,
    apply: Apply<DB>,
) -> sqlx::Result<()> {
    let mut conn = options.connect().await?;
    let applied = apply(&mut conn).await;
    let _ = conn.close().await;
    applied
}

/// Brings the tables up to date, where that is asked for, and checks what is there then.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) async fn bring_up<DB: Backend>(
    pool: &sqlx::Pool<DB>,
    conn: &mut DB::Connection,
    mode: Migrate,
    apply: Apply<DB>,
) -> Result<(), Error> {
    // Looked at without a lock first: an ordinary start waits for nobody.
    if mode == Migrate::Apply && !is_current::<DB>(conn).await {
        alone::<DB>(&pool.connect_options(), apply).await.map_err(not_applied)?;
    }
    check::<DB>(conn).await
}
