//! What the workers execute.

use data_drip::postgres::prelude::*;

/// Converts each observation to metric units.
#[backfill(batch_size = 100)]
pub(crate) struct ConvertToMetric;

#[derive(sqlx::FromRow)]
struct Observation {
    id: i64,
    temp: Option<f64>,
    wind_speed: Option<f64>,
}

#[backfill]
impl ConvertToMetric {
    // Rows that are done leave the scope, so that a later run finds only what is left.
    fn scope(&self) -> Scope {
        Scope::table("weather").columns(["id", "temp", "wind_speed"]).filter(col("converted").eq(false))
    }

    async fn process_element(&self, row: Observation, conn: &mut Connection) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE weather SET temp_celsius = $1, wind_metres = $2, converted = true WHERE id = $3")
            .bind(row.temp.map(|fahrenheit| (fahrenheit - 32.0) / 1.8))
            .bind(row.wind_speed.map(|miles_per_hour| miles_per_hour * 0.447_04))
            .bind(row.id)
            .execute(conn)
            .await?;
        Ok(())
    }
}
