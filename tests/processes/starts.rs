//! Processes that start at once on an empty database, some of which are killed meanwhile.

use herd::{Folder, Moment};

use super::child;
use crate::database::Database;

#[tokio::test]
async fn eight_processes_that_start_at_once_migrate_once_and_what_is_killed_meanwhile_is_repaired() {
    // Three of them are killed when so many migrations are there: in the middle, where they are not made all at once.
    for there in [0, 1, 4] {
        let Some(database) = Database::empty().await else { return };
        let folder = Folder::new();
        let names: Vec<_> = ('a'..='h').map(String::from).collect();
        for name in &names {
            folder.hold(name, Moment::Start);
        }
        let mut herd: Vec<_> = names.iter().map(|name| child(&folder, &database, name).start()).collect();
        for name in &names {
            folder.reached(name, Moment::Start).await;
        }
        for name in &names {
            folder.release(name, Moment::Start);
        }
        herd::eventually("they migrate", async || migrations(&database).await >= there).await;
        herd.drain(..3).for_each(herd::Child::kill);
        for name in &names[3..] {
            folder.reached(name, Moment::Started).await;
        }
        let applied = database.number("SELECT count(*) FROM data_drip_migrations WHERE success").await;
        assert_eq!(applied, database.number("SELECT version FROM data_drip_schema").await);
        assert_eq!(migrations(&database).await, applied);
        for child in herd {
            child.shut_down().await;
        }
    }
}

/// How many are noted; none without a table for them.
async fn migrations(database: &Database) -> i64 {
    let noted = sqlx::query_scalar("SELECT count(*) FROM data_drip_migrations").fetch_one(&database.pool).await;
    noted.unwrap_or(0)
}
