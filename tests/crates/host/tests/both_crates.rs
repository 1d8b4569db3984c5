//! Two crates with backfills in one binary, some of them in private modules.
#![forbid(unsafe_code)]

use data_drip::{DataDrip, ErrorKind};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use fixture_billing as _;
use fixture_people as _;

async fn memory() -> SqlitePool {
    SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.expect("a database")
}

#[tokio::test]
async fn the_registry_holds_both_crates_and_their_private_modules() {
    let drip = DataDrip::builder(memory().await)
        .share_pool()
        .state(fixture_billing::states())
        .require_backfills()
        .build()
        .await
        .expect("sound backfills");
    let found: Vec<_> = drip.backfills().iter().map(|info| (info.name, info.module)).collect();
    assert_eq!(
        found,
        [
            ("give_role", "fixture_people"),
            ("hidden_people", "fixture_people::nested::deeper"),
            ("number_invoices", "fixture_billing::invoices"),
        ]
    );
}

#[tokio::test]
async fn a_missing_state_is_a_start_up_error_that_names_type_and_backfill() {
    let built = DataDrip::builder(memory().await).share_pool().build().await;
    let error = built.err().expect("nobody gave the numbers");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("Numbers") && error.to_string().contains("number_invoices"), "{error}");
}

#[test]
#[should_panic(expected = "asks for `State<fixture_billing::invoices::Numbers>`")]
fn the_assertion_misses_the_state() {
    data_drip::assert_backfills!();
}
