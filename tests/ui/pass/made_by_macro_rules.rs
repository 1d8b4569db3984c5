//! Types that come out of a `macro_rules!`, with a `$crate` path.

use data_drip::sqlite::prelude::*;

pub struct Row(i64);

impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Row {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
        sqlx::Row::try_get(row, 0).map(Row)
    }
}

macro_rules! touch {
    ($name:ident, $option:ty, $default:expr) => {
        #[backfill]
        struct $name {
            #[option(default = $default)]
            wanted: $option,
        }

        #[backfill]
        impl $name {
            fn scope(&self) -> $crate::Scope {
                let _ = &self.wanted;
                Scope::table("people")
            }

            async fn process_element(&self, row: $crate::Row, conn: &mut $crate::Connection) {
                let _ = (row.0, conn);
            }
        }
    };
}

touch!(First, Option<i64>, 5);
touch!(Second, String, "a");
touch!(Third, f64, 1);

fn main() {}
