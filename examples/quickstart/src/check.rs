//! Compares what was computed with what was published, row by row.
//!
//! It knows nothing of time zones: which hours came twice shows in the data, where an airport has two rows of the same
//! local hour, and their published hours are the two that it can have been.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::SqlitePool;

use crate::backfills::AmbiguousHours;
use crate::terminal::thousands;
use crate::weather::OBSERVATIONS;

/// How many rows have a local hour that came twice.
const AMBIGUOUS: usize = 6;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Rows whose computed hour is the published one.
    pub equal: usize,
    /// Rows whose computed hour is another one.
    pub different: Vec<Row>,
    /// Rows without a computed hour.
    pub missing: usize,
    /// The rows whose local hour came twice, whatever became of them.
    pub ambiguous: Vec<Row>,
}

/// One row, as far as it is compared.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    id: i64,
    origin: String,
    /// `2013-11-03 01:00`
    local: String,
    published: DateTime<Utc>,
    computed: Option<DateTime<Utc>>,
    /// How many rows of this airport have this local hour.
    rows_of_hour: i64,
    /// The earliest and the latest published hour among those.
    earlier: DateTime<Utc>,
    later: DateTime<Utc>,
}

const ROWS: &str = "
SELECT
    id, origin, format('%d-%02d-%02d %02d:00', year, month, day, hour) AS local,
    time_hour AS published, observed_at AS computed,
    count(*) OVER same AS rows_of_hour, min(time_hour) OVER same AS earlier, max(time_hour) OVER same AS later
FROM weather
WINDOW same AS (PARTITION BY origin, year, month, day, hour)
ORDER BY id";

/// Looks at every row.
///
/// # Errors
/// From the database.
pub async fn check(pool: &SqlitePool) -> sqlx::Result<Report> {
    let rows: Vec<Row> = sqlx::query_as(ROWS).fetch_all(pool).await?;
    let mut report = Report::default();
    for row in rows {
        if row.is_ambiguous() {
            report.ambiguous.push(row.clone());
        }
        match row.computed {
            Some(computed) if computed == row.published => report.equal += 1,
            Some(_) => report.different.push(row),
            None => report.missing += 1,
        }
    }
    Ok(report)
}

impl Report {
    /// What is not as it has to be; empty when the check is passed.
    ///
    /// Each row whose local hour came once must be equal. Of those whose hour came twice, each must have the hour of one
    /// and the same choice: the one that the run was given, if `choice` says. So just those are equal that the choice
    /// happens to fit, one of each two.
    pub fn faults(&self, choice: Option<AmbiguousHours>) -> Vec<String> {
        let mut faults = Vec::new();
        let rows = self.equal + self.different.len() + self.missing;
        if rows != OBSERVATIONS {
            faults.push(format!("there are {} rows instead of {}", thousands(rows), thousands(OBSERVATIONS)));
        }
        if self.missing > 0 {
            faults.push(format!("rows without a computed time: {}", thousands(self.missing)));
        }
        let wrong = self.different.iter().filter(|row| !row.is_ambiguous()).count();
        if wrong > 0 {
            faults.push(format!("rows that cannot be mistaken and differ: {}", thousands(wrong)));
        }
        if self.ambiguous.len() != AMBIGUOUS {
            faults.push(format!("{} rows have an hour that came twice, instead of {AMBIGUOUS}", self.ambiguous.len()));
        }
        let chosen = choice.or(self.chosen());
        if self.missing == 0 && (chosen.is_none() || !self.ambiguous.iter().all(|row| row.chosen() == chosen)) {
            faults.push("the rows whose hour came twice do not have the hour that was chosen".into());
        }
        faults
    }

    /// The choice that the rows whose hour came twice show, if they all show the same.
    pub fn chosen(&self) -> Option<AmbiguousHours> {
        let choice = self.ambiguous.first()?.chosen()?;
        self.ambiguous.iter().all(|row| row.chosen() == Some(choice)).then_some(choice)
    }
}

impl Row {
    fn is_ambiguous(&self) -> bool {
        self.rows_of_hour > 1
    }

    /// The choice that leads to the computed hour.
    fn chosen(&self) -> Option<AmbiguousHours> {
        match self.computed? {
            hour if hour == self.earlier => Some(AmbiguousHours::Earlier),
            hour if hour == self.later => Some(AmbiguousHours::Later),
            _ => None,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HOUR: &str = "%Y-%m-%d %H:%M UTC";
        let Self { id, origin, local, published, .. } = self;
        write!(f, "row {id}: {origin}, {local} local, published as {}, ", published.format(HOUR))?;
        match self.computed {
            Some(computed) => write!(f, "computed as {}", computed.format(HOUR)),
            None => f.write_str("not computed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: [DateTime<Utc>; 2] =
        [DateTime::from_timestamp(1_383_454_800, 0).unwrap(), DateTime::from_timestamp(1_383_458_400, 0).unwrap()];

    /// As it has to be when each hour that came twice is decided by `computed`.
    fn report(computed: [usize; AMBIGUOUS]) -> Report {
        let row = |(index, hour): (usize, usize)| Row {
            id: 0,
            origin: "EWR".into(),
            local: "2013-11-03 01:00".into(),
            published: HOURS[index % 2],
            computed: Some(HOURS[hour]),
            rows_of_hour: 2,
            earlier: HOURS[0],
            later: HOURS[1],
        };
        let ambiguous: Vec<_> = computed.into_iter().enumerate().map(row).collect();
        let different: Vec<_> = ambiguous.iter().filter(|row| row.computed != Some(row.published)).cloned().collect();
        Report { equal: OBSERVATIONS - different.len(), different, missing: 0, ambiguous }
    }

    #[test]
    fn one_choice_for_all_is_passed_and_half_of_them_fit() {
        for (hour, choice) in [(0, AmbiguousHours::Earlier), (1, AmbiguousHours::Later)] {
            let report = report([hour; AMBIGUOUS]);
            assert_eq!(report.faults(None), [""; 0]);
            assert_eq!(report.faults(Some(choice)), [""; 0]);
            assert_eq!((report.chosen(), report.different.len()), (Some(choice), AMBIGUOUS / 2));
        }
    }

    #[test]
    fn a_mixture_and_another_choice_than_the_run_was_given_are_faults() {
        // Every row as it was published: nothing that knows only the local hour can do that.
        assert_eq!(report([0, 1, 0, 1, 0, 1]).faults(None).len(), 1);
        assert_eq!(report([0; AMBIGUOUS]).faults(Some(AmbiguousHours::Later)).len(), 1);
    }

    #[test]
    fn missing_rows_and_rows_that_cannot_be_mistaken_are_faults() {
        let good = report([0; AMBIGUOUS]);
        let lost = Report { equal: good.equal - 1, ..report([0; AMBIGUOUS]) };
        assert_eq!(lost.faults(None), ["there are 26,114 rows instead of 26,115"]);
        let missing = Report { missing: 1, ..lost };
        assert_eq!(missing.faults(None), ["rows without a computed time: 1"]);
        let mut wrong = Report { equal: good.equal - 1, ..good };
        wrong.different.push(Row { rows_of_hour: 1, ..wrong.ambiguous[0].clone() });
        assert_eq!(wrong.faults(None), ["rows that cannot be mistaken and differ: 1"]);
    }
}
