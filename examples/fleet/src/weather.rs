//! The host's own table: hourly weather at New York's airports, 2013.

use std::path::Path;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

const CSV: &str = include_str!("../../quickstart/data/weather.csv");

const TABLE: &str = "
CREATE TABLE weather (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin       text NOT NULL,
    year         integer NOT NULL,
    month        integer NOT NULL,
    day          integer NOT NULL,
    hour         integer NOT NULL,
    temp         double precision,     -- degrees Fahrenheit
    dewp         double precision,
    humid        double precision,
    wind_dir     double precision,
    wind_speed   double precision,     -- miles per hour
    wind_gust    double precision,
    precip       double precision,
    pressure     double precision,
    visib        double precision,
    time_hour    timestamptz NOT NULL,
    converted    boolean NOT NULL DEFAULT false,
    temp_celsius double precision,     -- what `convert_to_metric` computes
    wind_metres  double precision      -- metres per second, likewise
)";

/// As the file has them.
const COPY: &str = "COPY weather (origin, year, month, day, hour, temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, \
     pressure, visib, time_hour) FROM STDIN WITH (FORMAT csv, HEADER true, NULL 'NA')";

/// Rows whose figures are not what they should be. A quotient may differ in its last digit.
const WRONG: &str = "
SELECT count(*) FROM weather
WHERE NOT converted
    OR (temp IS NULL) <> (temp_celsius IS NULL) OR abs(temp_celsius - (temp - 32) * 5 / 9) > 1e-9
    OR (wind_speed IS NULL) <> (wind_metres IS NULL) OR abs(wind_metres - wind_speed * 0.44704) > 1e-9";

/// Connections to the server that listens in this folder, opened when they are needed.
pub(crate) fn pool(server: &Path) -> PgPool {
    let options = PgConnectOptions::new_without_pgpass().socket(server).port(crate::server::PORT);
    PgPoolOptions::new().max_connections(4).connect_lazy_with(options.username("postgres").database("postgres"))
}

/// Creates the table and fills it; how many rows there are.
///
/// # Errors
/// From the database.
pub(crate) async fn load(pool: &PgPool) -> anyhow::Result<u64> {
    let mut conn = pool.acquire().await?;
    sqlx::raw_sql(TABLE).execute(&mut *conn).await?;
    let mut copy = conn.copy_in_raw(COPY).await?;
    copy.send(CSV.as_bytes()).await?;
    copy.finish().await.context("could not copy weather.csv")
}

/// How many rows are not what the backfill should have made of them.
///
/// # Errors
/// From the database.
pub(crate) async fn wrong(pool: &PgPool) -> anyhow::Result<u64> {
    let wrong: i64 = sqlx::query_scalar(WRONG).fetch_one(pool).await?;
    Ok(wrong.unsigned_abs())
}
