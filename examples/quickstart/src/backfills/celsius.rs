//! A batch at a time: temperatures in degrees Celsius, computed by the database.

use data_drip::sqlite::prelude::*;

/// Converts temperatures from Fahrenheit to Celsius, rounded to a tenth of a degree.
///
/// One UPDATE for each batch, with a short pause after it so that there is something to watch.
#[backfill(batch_size = 500, sleep = "50ms")]
pub struct ConvertToCelsius {
    /// Only the observations of this airport.
    #[option(label = "Airport", choices = airports)]
    pub origin: Option<String>,
    /// Only the observations of this month of the year.
    #[option(min = 1, max = 12)]
    pub month: Option<u8>,
    /// Convert those again that have been converted already.
    #[option(default = false)]
    pub again: bool,
}

#[backfill]
impl ConvertToCelsius {
    fn scope(&self) -> Scope {
        Scope::table("weather")
            .filter(col("temp").is_not_null())
            .filter_some(self.origin.as_ref(), |origin| col("origin").eq(origin))
            .filter_some(self.month, |month| col("month").eq(month))
            .filter_if(!self.again, col("temp_celsius").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set_expr("temp_celsius", "round((temp - 32) * 5 / 9, 1)").execute().await?;
        Ok(())
    }
}

/// The airports that the form offers.
async fn airports(conn: &mut Connection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT DISTINCT origin FROM weather ORDER BY origin").fetch_all(conn).await
}
