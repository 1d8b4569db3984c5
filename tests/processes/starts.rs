//! Processes that start at once on an empty database, some of which are killed meanwhile.

use super::Site;
use crate::database::Database;
use crate::suite::until;

#[tokio::test]
async fn eight_processes_that_start_at_once_migrate_once_and_what_is_killed_meanwhile_is_repaired() {
    for killed_after in [0, 20, 60] {
        let Some(database) = Database::empty().await else { return };
        let site = Site::of(database);
        let names: Vec<_> = ('a'..='h').map(String::from).collect();
        let mut herd: Vec<_> = names.iter().map(|name| site.child(name).start()).collect();
        // Whoever is first has begun, or is about to; a moment more or less later it is gone.
        until(async || names.iter().any(|name| super::said(&site.folder, name, "starting").exists()).then_some(()))
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(killed_after)).await;
        for (name, child) in names.iter().zip(herd.drain(..3)) {
            if super::said(&site.folder, name, "starting").exists() {
                child.kill();
            }
        }
        for name in &names[3..] {
            site.reached(name, "started").await;
        }
        let applied = site.number("SELECT count(*) FROM data_drip_migrations WHERE success").await;
        assert_eq!(applied, site.number("SELECT version FROM data_drip_schema").await);
        assert_eq!(site.number("SELECT count(*) - count(DISTINCT version) FROM data_drip_migrations").await, 0);
        for child in herd {
            child.shut_down().await;
        }
    }
}
