//! Row by row: the UTC time of each observation, from its local hour.

use anyhow::{Context, bail};
use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::America::New_York;
use data_drip::sqlite::prelude::*;

/// Computes the UTC time of each observation from its local year, month, day and hour in New York.
///
/// In one night of each autumn an hour comes twice. Which of the two an observation is from cannot be told from its
/// local hour, so it has to be said.
#[backfill(batch_size = 500)]
pub struct ComputeUtcTime {
    /// What to do with an hour that came twice.
    #[option(default = AmbiguousHours::Reject)]
    pub ambiguous: AmbiguousHours,
}

/// What to do with a local hour that came twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionEnum)]
pub enum AmbiguousHours {
    /// Reject: fail the batch and name the rows.
    Reject,
    /// Earlier: the first of the two, in summer time.
    Earlier,
    /// Later: the second of the two, in winter time.
    Later,
}

/// What the computation reads of a row.
#[derive(Debug, sqlx::FromRow)]
struct Observation {
    id: i64,
    origin: String,
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
}

#[backfill]
impl ComputeUtcTime {
    // Rows that are done leave the scope, so that a later run finds only what is left.
    fn scope(&self) -> Scope {
        Scope::table("weather")
            .columns(["id", "origin", "year", "month", "day", "hour"])
            .filter(col("observed_at").is_null())
    }

    // `conn` is inside the batch's transaction: an error undoes the batch, and only this batch.
    async fn process_element(&self, row: Observation, conn: &mut Connection) -> anyhow::Result<()> {
        let local = row.local()?;
        let utc = match (New_York.from_local_datetime(&local), self.ambiguous) {
            (LocalResult::Single(time), _) => time.to_utc(),
            (LocalResult::Ambiguous(time, _), AmbiguousHours::Earlier)
            | (LocalResult::Ambiguous(_, time), AmbiguousHours::Later) => {
                // Kept with the batch, and shown on the run's page.
                tracing::info!(
                    id = row.id,
                    "{row}: this hour came twice, taken as {} UTC",
                    time.to_utc().format("%H:%M")
                );
                time.to_utc()
            }
            (LocalResult::Ambiguous(earlier, later), AmbiguousHours::Reject) => {
                return Err(came_twice(&row, [earlier.to_utc(), later.to_utc()], conn).await?);
            }
            (LocalResult::None, _) => {
                bail!("{row}: there was no such hour in New York, the clocks were put forward over it")
            }
        };
        sqlx::query("UPDATE weather SET observed_at = ? WHERE id = ?").bind(utc).bind(row.id).execute(conn).await?;
        Ok(())
    }
}

impl Observation {
    fn local(&self) -> anyhow::Result<NaiveDateTime> {
        NaiveDate::from_ymd_opt(self.year, self.month, self.day)
            .and_then(|date| date.and_hms_opt(self.hour, 0, 0))
            .with_context(|| format!("{self}: there is no such date or hour"))
    }
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { origin, year, month, day, hour, .. } = self;
        write!(f, "{origin}, {year}-{month:02}-{day:02} {hour:02}:00 local")
    }
}

/// Names every row with the same local hour, not only the one that the batch ends at.
async fn came_twice(
    row: &Observation,
    hours: [DateTime<Utc>; 2],
    conn: &mut Connection,
) -> sqlx::Result<anyhow::Error> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM weather WHERE origin = ? AND year = ? AND month = ? AND day = ? AND hour = ? ORDER BY id",
    )
    .bind(&row.origin)
    .bind(row.year)
    .bind(row.month)
    .bind(row.day)
    .bind(row.hour)
    .fetch_all(conn)
    .await?;
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let [earlier, later] = hours.map(|hour| hour.format("%H:%M"));
    Ok(anyhow::anyhow!(
        "{row} (ids {}): this hour came twice, as {earlier} and as {later} UTC; choose `earlier` or `later`",
        ids.join(", ")
    ))
}
