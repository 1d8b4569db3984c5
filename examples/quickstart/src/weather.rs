//! The host's own table, and the observations that it is filled with once.

use std::path::Path;

use anyhow::{Context, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

/// How many observations there are.
pub const OBSERVATIONS: usize = 26_115;

const CSV: &str = include_str!("../data/weather.csv");

/// The columns of the file, which are columns of the table too.
const COLUMNS: &str =
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour";

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS weather (
    id           INTEGER PRIMARY KEY,
    origin       TEXT NOT NULL,
    year         INTEGER NOT NULL,     -- year, month, day and hour are local time in New York
    month        INTEGER NOT NULL,
    day          INTEGER NOT NULL,
    hour         INTEGER NOT NULL,
    temp         REAL,                 -- degrees Fahrenheit
    dewp         REAL,
    humid        REAL,
    wind_dir     REAL,
    wind_speed   REAL,
    wind_gust    REAL,
    precip       REAL,
    pressure     REAL,
    visib        REAL,
    time_hour    TEXT NOT NULL,        -- the published hour in UTC: only the check reads it
    observed_at  TEXT,                 -- what `compute_utc_time` computes
    temp_celsius REAL                  -- what `convert_to_celsius` computes
)";

/// Opens the database file, or creates it.
///
/// # Errors
/// When SQLite cannot.
pub async fn open(path: &Path) -> anyhow::Result<SqlitePool> {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await
        .with_context(|| format!("could not open the database {}", path.display()))
}

/// Creates the table where it is missing.
///
/// # Errors
/// From the database.
pub async fn create(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(TABLE).execute(conn).await.map(drop)
}

/// Fills the table if it is empty, in one transaction: all rows are there or none. Tells whether it did.
///
/// # Errors
/// From the database, or when the file is not what it should be.
pub async fn load(pool: &SqlitePool) -> anyhow::Result<bool> {
    // Immediate, so that of two programs that start at once one waits for the other before it looks.
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    create(&mut tx).await?;
    if sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM weather)").fetch_one(&mut *tx).await? {
        return Ok(false);
    }
    let rows = rows()?;
    // SQLite takes at most 32,766 values in one statement.
    for some in rows.chunks(1_000) {
        insert(some, &mut tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// How many observations have no UTC time yet.
///
/// # Errors
/// From the database.
pub async fn without_utc_time(pool: &SqlitePool) -> sqlx::Result<u64> {
    sqlx::query_scalar("SELECT count(*) FROM weather WHERE observed_at IS NULL").fetch_one(pool).await
}

/// One line of the file.
struct Line {
    origin: &'static str,
    /// Year, month, day and hour.
    local: [i64; 4],
    /// What was measured, in the order of the columns; `NA` is `None`.
    measured: [Option<f64>; 9],
    time_hour: &'static str,
}

async fn insert(lines: &[Line], conn: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO weather (");
    insert.push(COLUMNS).push(") ");
    insert.push_values(lines, |mut row, line| {
        row.push_bind(line.origin);
        for part in line.local {
            row.push_bind(part);
        }
        for value in line.measured {
            row.push_bind(value);
        }
        row.push_bind(line.time_hour);
    });
    insert.build().execute(conn).await.map(drop)
}

fn rows() -> anyhow::Result<Vec<Line>> {
    let mut lines = CSV.lines();
    ensure!(lines.next() == Some(COLUMNS), "data/weather.csv: the columns are not {COLUMNS}");
    let rows: Vec<_> = lines
        .enumerate()
        .map(|(index, line)| parse(line).with_context(|| format!("data/weather.csv, line {}", index + 2)))
        .collect::<anyhow::Result<_>>()?;
    ensure!(rows.len() == OBSERVATIONS, "data/weather.csv has {} rows instead of {OBSERVATIONS}", rows.len());
    Ok(rows)
}

// The file has no quoted values: a comma always separates.
fn parse(line: &'static str) -> anyhow::Result<Line> {
    let values: Vec<_> = line.split(',').collect();
    let [origin, year, month, day, hour, measured @ .., time_hour] = &values[..] else {
        anyhow::bail!("too few values");
    };
    let measured: &[_; 9] = measured.try_into().context("not fifteen values")?;
    let mut line = Line { origin, local: [0; 4], measured: [None; 9], time_hour };
    for (part, text) in line.local.iter_mut().zip([year, month, day, hour]) {
        *part = text.parse().with_context(|| format!("`{text}` is not a whole number"))?;
    }
    for (value, text) in line.measured.iter_mut().zip(measured) {
        if *text != "NA" {
            *value = Some(text.parse().with_context(|| format!("`{text}` is not a number"))?);
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_is_read_and_na_is_no_number() {
        let rows = rows().unwrap();
        let gusts = rows.iter().filter(|row| row.measured[5].is_some()).count();
        assert_eq!(rows.len() - gusts, CSV.lines().filter(|line| line.split(',').nth(10) == Some("NA")).count());
        assert!(gusts > 0);
    }

    #[test]
    fn a_broken_line_is_an_error_that_says_what_is_wrong() {
        let error = |line| format!("{:#}", parse(line).err().unwrap());
        assert_eq!(error("EWR,2013"), "too few values");
        assert!(error("EWR,2013,1,1,x,,,,,,,,,,2013-01-01T06:00:00Z").contains("`x` is not a whole number"));
        assert!(error("EWR,2013,1,1,1,warm,,,,,,,,,2013-01-01T06:00:00Z").contains("`warm` is not a number"));
    }
}
