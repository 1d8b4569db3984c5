//! The files: made once, copied for each round, so that every round does the same work from the same state.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};

/// The settings that both sides run with, as the report names them.
pub(crate) const SETTINGS: &str = "journal_mode WAL, synchronous NORMAL, everything else SQLite's default";

/// A folder of this run's own, removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("data_drip_benchmark_{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // In the temporary folder: what is left goes with it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
}

pub(crate) async fn open(file: &Path) -> Result<SqlitePool> {
    Ok(SqlitePool::connect_with(options(file)).await?)
}

/// Which employees have no role yet.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// All.
    Dense,
    /// The last 1,000.
    Sparse,
}

/// A database that is never worked on, only copied.
pub(crate) struct Template<'f> {
    folder: &'f Folder,
    file: PathBuf,
    pub(crate) rows: u64,
}

impl<'f> Template<'f> {
    pub(crate) async fn new(folder: &'f Folder, rows: u64, shape: Shape) -> Result<Self> {
        let file = folder.file("template.db");
        remove(&file);
        let mut conn = SqliteConnection::connect_with(&options(&file).create_if_missing(true)).await?;
        sqlx::raw_sql(
            "CREATE TABLE employees (
                id INTEGER PRIMARY KEY,
                name TEXT NOT NULL,
                department TEXT NOT NULL,
                role TEXT,
                email TEXT
            )",
        )
        .execute(&mut conn)
        .await?;
        let without_role = match shape {
            Shape::Dense => rows,
            Shape::Sparse => 1_000,
        };
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO employees (id, name, department, role)
             SELECT i, printf('employee.%08d', i), 'department ' || (i % 50), CASE WHEN i <= ?1 - ?2 THEN 'boss' END
             FROM n",
        )
        .bind(i64::try_from(rows)?)
        .bind(i64::try_from(without_role)?)
        .execute(&mut conn)
        .await?;
        // The last connection leaves no write-ahead log behind.
        conn.close().await?;
        Ok(Self { folder, file, rows })
    }

    /// A copy to work on, in place of the last one.
    pub(crate) fn copy(&self) -> Result<PathBuf> {
        let file = self.folder.file("work.db");
        remove(&file);
        fs::copy(&self.file, &file)?;
        // Written to the disk now, and not while something is measured.
        File::open(&file)?.sync_all()?;
        Ok(file)
    }
}

impl Drop for Template<'_> {
    fn drop(&mut self) {
        remove(&self.file);
        remove(&self.folder.file("work.db"));
    }
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // Mostly it is not there.
        let _ = fs::remove_file(name);
    }
}
