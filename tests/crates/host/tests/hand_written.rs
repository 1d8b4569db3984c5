//! The traits by hand, without the macro: the same backfill, the same results.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use data_drip::backfill::{Context, Hook, Mode};
use data_drip::batch::Batch as PlainBatch;
use data_drip::options::{self, Field, Input, OptionValue, Options, Raw, Settings, Values};
use data_drip::run::Run;
use data_drip::scope::Scope as PlainScope;
use data_drip::{Backfill, testing};
use sqlx::Sqlite;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

mod with_macro {
    use data_drip::sqlite::prelude::*;

    /// Raises prices.
    #[backfill(name = "raise", batch_size = 2)]
    pub(crate) struct Raise {
        /// By so much.
        #[option(min = 1)]
        pub(crate) by: i64,
        #[option(default = "EUR")]
        pub(crate) currency: String,
        pub(crate) above: Option<i64>,
    }

    #[backfill]
    impl Raise {
        fn scope(&self) -> Scope {
            Scope::table("prices")
                .filter(col("currency").eq(&self.currency))
                .filter_some(self.above, |above| col("price").gt(above))
        }

        async fn process_element(&self, (id,): (i64,), conn: &mut Connection) -> Result<(), sqlx::Error> {
            let update = sqlx::query("UPDATE prices SET price = price + ? WHERE id = ?").bind(self.by).bind(id);
            update.execute(conn).await?;
            Ok(())
        }

        async fn on_run_completed(&self, _: &Run) {}
    }
}

struct Raise {
    by: i64,
    currency: String,
    above: Option<i64>,
}

impl Options for Raise {
    const NAME: &'static str = "raise";
    const DESCRIPTION: &'static str = "Raises prices.";
    const SETTINGS: Settings = {
        let mut settings = Settings::DEFAULT;
        settings.batch_size = Some(2);
        settings
    };

    fn fields() -> Vec<Field> {
        vec![
            Field::of::<i64>("by").help("By so much.").min(1_i64),
            Field::of::<String>("currency").default("EUR".to_owned()),
            Field::of::<Option<i64>>("above"),
        ]
    }

    fn parse(input: &mut Input<'_>) -> Option<Self> {
        let (by, currency, above) = (input.take("by"), input.take("currency"), input.take("above"));
        Some(Self { by: by?, currency: currency?, above: above? })
    }

    fn values(&self) -> Values {
        Values::from_iter([
            ("by".to_owned(), self.by.to_json()),
            ("currency".to_owned(), self.currency.to_json()),
            ("above".to_owned(), self.above.to_json()),
        ])
    }
}

impl Backfill for Raise {
    type Database = Sqlite;
    const MODE: Mode = Mode::Element;
    const HOOKS: &'static [Hook] = &[Hook::RunCompleted];

    fn scope(&self) -> PlainScope<Sqlite> {
        use data_drip::col;
        PlainScope::table("prices")
            .filter(col("currency").eq(&self.currency))
            .filter_some(self.above, |above| col("price").gt(above))
    }

    async fn process(&self, batch: &mut PlainBatch<'_, Sqlite>, _: &Context) -> data_drip::Result {
        for (id,) in batch.rows::<(i64,)>().await? {
            let update = sqlx::query("UPDATE prices SET price = price + ? WHERE id = ?").bind(self.by).bind(id);
            update.execute(batch.conn()).await?;
        }
        Ok(())
    }

    async fn on_hook(&self, _: Hook, _: &Run, _: Option<&data_drip::run::RunBatch>, _: &Context) -> data_drip::Result {
        Ok(())
    }
}

async fn prices() -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.expect("a database");
    let table = "CREATE TABLE prices (id INTEGER PRIMARY KEY, price INTEGER NOT NULL, currency TEXT NOT NULL);
        INSERT INTO prices (price, currency) VALUES (10, 'EUR'), (20, 'EUR'), (30, 'USD'), (40, 'EUR'), (50, 'EUR')";
    sqlx::raw_sql(table).execute(&pool).await.expect("a table");
    pool
}

/// What is left in the table, and what the run and its batches counted.
async fn outcome<T: Backfill<Database = Sqlite>>(backfill: T) -> (Vec<(i64,)>, u64, Vec<Option<u64>>) {
    let pool = prices().await;
    let done = testing::run(&pool, backfill).await.expect("a run");
    let left = sqlx::query_as("SELECT price FROM prices ORDER BY id").fetch_all(&pool).await.expect("prices");
    (left, done.run.counts.processed, done.batches.iter().map(|batch| batch.processed).collect())
}

#[tokio::test]
async fn both_do_the_same_to_the_rows() {
    let by_hand = outcome(Raise { by: 5, currency: "EUR".to_owned(), above: Some(10) }).await;
    let by_macro = outcome(with_macro::Raise { by: 5, currency: "EUR".to_owned(), above: Some(10) }).await;
    assert_eq!(by_hand, (vec![(10,), (25,), (30,), (45,), (55,)], 3, vec![Some(2), Some(1)]));
    assert_eq!(by_macro, by_hand);
}

#[test]
fn both_look_the_same_from_outside() {
    fn outside<T: Backfill>() -> (&'static str, &'static str, Settings, Mode, &'static [Hook], Vec<Field>) {
        (T::NAME, T::DESCRIPTION, T::SETTINGS, T::MODE, T::HOOKS, T::fields())
    }
    assert_eq!(outside::<with_macro::Raise>(), outside::<Raise>());
}

#[test]
fn both_refuse_the_same_options() {
    let given = |pairs: &[(&str, serde_json::Value)]| -> HashMap<String, Raw> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Raw::Json(value.clone()))).collect()
    };
    for raw in [
        given(&[]),
        given(&[("by", 0.into())]),
        given(&[("by", 3.into()), ("bye", 4.into())]),
        given(&[("by", "3".into()), ("above", 1.5.into()), ("currency", 1.into())]),
        given(&[("by", 3.into()), ("above", serde_json::Value::Null)]),
    ] {
        let by_hand = options::parse::<Raise>(&raw).map(|it| it.values());
        let by_macro = options::parse::<with_macro::Raise>(&raw).map(|it| it.values());
        assert_eq!(by_macro, by_hand);
    }
}
