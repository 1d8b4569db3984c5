//! The application writes the rows of the scope while the run goes on.

use std::collections::{HashMap, HashSet};

use data_drip::{Backfill, RunStatus};
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use super::backfills::{ExclaimAll, ExclaimEach, ExclaimRows};
use super::random;
use super::world::{World, shut_down};
use crate::database::{Database, Db, sql};

const ITEMS: i64 = 2_000;

#[tokio::test]
async fn no_write_of_the_application_is_lost_set_wise() {
    side_by_side(ExclaimAll).await;
}

#[tokio::test]
async fn no_write_of_the_application_is_lost_row_by_row() {
    side_by_side(ExclaimEach).await;
}

#[tokio::test]
async fn no_write_of_the_application_is_lost_where_a_batch_reads_its_rows_and_writes_them() {
    side_by_side(ExclaimRows).await;
}

async fn side_by_side<T: Backfill<Database = Db>>(backfill: T) {
    let Some(world) = World::with_items(u32::try_from(ITEMS).unwrap()).await else { return };
    world.database.run("UPDATE items SET word = ''").await;
    let over = CancellationToken::new();
    let application = Application::new(&world.database, over.clone());
    let application = tokio::spawn(application.write());
    let run = world.enqueue(backfill, 20).await;
    let herd = world.herd(2);
    let run = world.settled(run).await;
    over.cancel();
    let application = application.await.unwrap();
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    application.check(&world, run.counts.processed).await;
    shut_down(herd).await;
}

/// What the application has done, and seen to be committed.
struct Application {
    pool: sqlx::Pool<Db>,
    over: CancellationToken,
    random: fastrand::Rng,
    /// How often it has appended a `+` to an item.
    appended: HashMap<i64, usize>,
    inserted: HashSet<i64>,
    deleted: HashSet<i64>,
}

impl Application {
    fn new(database: &Database, over: CancellationToken) -> Self {
        let (appended, inserted, deleted) = Default::default();
        Self { pool: database.pool.clone(), over, random: random(), appended, inserted, deleted }
    }

    async fn write(mut self) -> Self {
        while !self.over.is_cancelled() {
            let item = self.random.i64(1..=ITEMS) * 3;
            match self.random.u8(..10) {
                0 => {
                    let new = item - 1;
                    if self.affects("INSERT INTO items (id, word) VALUES (?, '')", new).await {
                        self.inserted.insert(new);
                    }
                }
                1 => {
                    if self.affects("DELETE FROM items WHERE id = ?", item).await {
                        self.deleted.insert(item);
                    }
                }
                _ => {
                    if self.affects("UPDATE items SET word = concat(word, '+') WHERE id = ?", item).await {
                        *self.appended.entry(item).or_default() += 1;
                    }
                }
            }
        }
        self
    }

    /// Whether the statement was done and found the item: not where it is there already, nor where the database has chosen
    /// the application in a deadlock.
    async fn affects(&self, statement: &str, item: i64) -> bool {
        let done = sqlx::query(sql(statement)).bind(item).execute(&self.pool).await;
        match done {
            Ok(done) => done.rows_affected() == 1,
            Err(sqlx::Error::Database(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn check(&self, world: &World, processed: u64) {
        let ledger: Vec<(i64, i64)> = rows(world, "SELECT item, count(*) FROM ledger GROUP BY item").await;
        let ledger: HashMap<_, _> = ledger.into_iter().collect();
        assert_eq!(ledger.values().sum::<i64>(), i64::try_from(processed).unwrap(), "the count is what happened");
        assert!(ledger.values().all(|times| *times == 1), "nothing was processed twice");
        let left: Vec<(i64, String)> = rows(world, "SELECT id, word FROM items").await;
        for (item, word) in &left {
            let count = |of: char| word.chars().filter(|c| *c == of).count();
            let expected = (self.appended.get(item).copied().unwrap_or(0), usize::from(ledger.contains_key(item)));
            assert_eq!((count('+'), count('!')), expected, "{item}: {word}");
            assert!(expected.1 == 1 || self.inserted.contains(item), "{item} was there all the time, and left out");
        }
        let left: HashSet<_> = left.into_iter().map(|(item, _)| item).collect();
        assert!(left.is_disjoint(&self.deleted), "nothing comes back");
        println!(
            "{} appended to, {} inserted, {} deleted",
            self.appended.len(),
            self.inserted.len(),
            self.deleted.len()
        );
        assert!(
            self.appended.len() > 20 && !self.inserted.is_empty() && !self.deleted.is_empty(),
            "too few to show it"
        );
    }
}

async fn rows<T>(world: &World, query: &str) -> Vec<T>
where
    T: Send + Unpin + for<'r> sqlx::FromRow<'r, crate::database::Row>,
{
    sqlx::query_as(AssertSqlSafe(query)).fetch_all(&world.database.pool).await.unwrap()
}
