//! The backfills on a few rows each: what a host's own tests of its backfills look like.

use anyhow::Result;
use chrono::{DateTime, Utc};
use data_drip::{BatchStatus, ErrorKind, RunStatus, testing};
use quickstart::backfills::{AmbiguousHours, ComputeUtcTime, ConvertToCelsius};
use quickstart::weather;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

#[test]
fn backfills_are_sound() {
    data_drip::assert_backfills!();
}

/// Month, day and hour in New York, 2013, and degrees Fahrenheit.
type Row = (u32, u32, u32, Option<f64>);

async fn table(rows: &[Row]) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    weather::create(&mut *pool.acquire().await?).await?;
    for (month, day, hour, temp) in rows {
        sqlx::query(
            "INSERT INTO weather (origin, year, month, day, hour, temp, time_hour) VALUES ('JFK', 2013, ?, ?, ?, ?, '')",
        )
        .bind(month)
        .bind(day)
        .bind(hour)
        .bind(temp)
        .execute(&pool)
        .await?;
    }
    Ok(pool)
}

async fn observed(pool: &SqlitePool) -> Result<Vec<Option<String>>> {
    let times: Vec<Option<DateTime<Utc>>> =
        sqlx::query_scalar("SELECT observed_at FROM weather ORDER BY id").fetch_all(pool).await?;
    Ok(times.into_iter().map(|time| time.map(|time| time.format("%d %H:%M").to_string())).collect())
}

async fn celsius(pool: &SqlitePool) -> Result<Vec<Option<f64>>> {
    Ok(sqlx::query_scalar("SELECT temp_celsius FROM weather ORDER BY id").fetch_all(pool).await?)
}

const SUMMER: Row = (7, 1, 12, Some(86.0));
const WINTER: Row = (1, 1, 12, Some(39.02));
const TWICE: Row = (11, 3, 1, Some(50.0));
const NEVER: Row = (3, 10, 2, None);

#[tokio::test]
async fn summer_and_winter_time_are_told_apart() -> Result<()> {
    let pool = table(&[SUMMER, WINTER]).await?;
    let done = testing::run(&pool, ComputeUtcTime { ambiguous: AmbiguousHours::Reject }).await?;
    assert_eq!(done.run.status, RunStatus::Completed);
    assert_eq!(done.run.counts.processed, 2);
    assert_eq!(observed(&pool).await?, [Some("01 16:00".into()), Some("01 17:00".into())]);
    Ok(())
}

#[tokio::test]
async fn a_rejected_hour_names_all_its_rows_and_undoes_its_batch_alone() -> Result<()> {
    let pool = table(&[SUMMER, TWICE, TWICE, WINTER]).await?;
    let backfill = ComputeUtcTime { ambiguous: AmbiguousHours::Reject };
    let done = testing::Runner::new(&pool).batch_size(3).run(backfill).await?;
    assert_eq!(done.run.status, RunStatus::Failed);
    assert_eq!(
        done.batches.iter().map(|batch| batch.status).collect::<Vec<_>>(),
        [BatchStatus::Failed, BatchStatus::Completed]
    );
    assert_eq!(
        done.errors().collect::<Vec<_>>(),
        ["row with key 2: JFK, 2013-11-03 01:00 local (ids 2, 3): this hour came twice, as 05:00 and as 06:00 UTC; \
          choose `earlier` or `later`"]
    );
    assert_eq!(observed(&pool).await?, [None, None, None, Some("01 17:00".into())]);
    Ok(())
}

#[tokio::test]
async fn a_choice_decides_what_was_rejected() -> Result<()> {
    for (ambiguous, hour) in [(AmbiguousHours::Earlier, "03 05:00"), (AmbiguousHours::Later, "03 06:00")] {
        let pool = table(&[TWICE, TWICE]).await?;
        let done = testing::run(&pool, ComputeUtcTime { ambiguous }).await?;
        assert_eq!(done.run.status, RunStatus::Completed);
        assert_eq!(observed(&pool).await?, [Some(hour.into()), Some(hour.into())]);
    }
    Ok(())
}

#[tokio::test]
async fn an_hour_that_never_was_is_an_error_whatever_the_choice() -> Result<()> {
    let pool = table(&[NEVER]).await?;
    let done = testing::run(&pool, ComputeUtcTime { ambiguous: AmbiguousHours::Later }).await?;
    assert_eq!(done.run.status, RunStatus::Failed);
    assert_eq!(
        done.errors().collect::<Vec<_>>(),
        [
            "row with key 1: JFK, 2013-03-10 02:00 local: there was no such hour in New York, the clocks were put forward \
          over it"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn temperatures_are_converted_where_there_are_any() -> Result<()> {
    let pool = table(&[SUMMER, WINTER, NEVER]).await?;
    let done = testing::run(&pool, ConvertToCelsius { origin: None, month: None, again: false }).await?;
    assert_eq!(done.run.counts.processed, 2);
    assert_eq!(celsius(&pool).await?, [Some(30.0), Some(3.9), None]);
    Ok(())
}

#[tokio::test]
async fn temperatures_of_one_month_can_be_converted_again() -> Result<()> {
    let pool = table(&[SUMMER, WINTER]).await?;
    sqlx::query("UPDATE weather SET temp_celsius = 0").execute(&pool).await?;
    let refused = testing::run(&pool, ConvertToCelsius { origin: None, month: Some(7), again: false }).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    testing::run(&pool, ConvertToCelsius { origin: Some("JFK".into()), month: Some(7), again: true }).await?;
    assert_eq!(celsius(&pool).await?, [Some(30.0), Some(0.0)]);
    Ok(())
}

#[tokio::test]
async fn an_airport_that_is_not_there_and_a_month_that_is_none_are_refused() -> Result<()> {
    let pool = table(&[SUMMER]).await?;
    let wrong = ConvertToCelsius { origin: Some("LAX".into()), month: None, again: false };
    let refused = testing::run(&pool, wrong).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "origin");
    let refused =
        testing::run(&pool, ConvertToCelsius { origin: None, month: Some(13), again: false }).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "month");
    Ok(())
}
