//! Processes that come and go while a run is going on, and do not all have the same code.

use std::time::Duration;

use data_drip::backfill::{Context, Mode};
use data_drip::options::{Field, Input, OptionValue, Options, Settings, Values};
use data_drip::{Backfill, Builder, RunStatus};
use herd::{Moment, moments};

use super::{Code, Pack, Site};
use crate::database::{Db, sql};
use crate::suite::stamp::stamp;
use crate::suite::{settled, until};

/// The code of `ship` before a deploy.
struct OldShip;

/// And after it: with an option more.
struct NewShip {
    gift: Option<bool>,
}

/// The builder with that code.
pub(super) fn with(builder: Builder<Db>, code: Code) -> Builder<Db> {
    match code {
        Code::None => builder,
        Code::Old => builder.with::<OldShip>(),
        Code::New => builder.with::<NewShip>(),
    }
}

impl Options for OldShip {
    const NAME: &'static str = "ship";
    const DESCRIPTION: &'static str = "Ships items.";
    const SETTINGS: Settings = Settings::DEFAULT;

    fn fields() -> Vec<Field> {
        Vec::new()
    }

    fn parse(_: &mut Input<'_>) -> Option<Self> {
        Some(Self)
    }

    fn values(&self) -> Values {
        Values::default()
    }
}

impl Options for NewShip {
    const NAME: &'static str = "ship";
    const DESCRIPTION: &'static str = "Ships items, as gifts if need be.";
    const SETTINGS: Settings = Settings::DEFAULT;

    fn fields() -> Vec<Field> {
        vec![Field::of::<Option<bool>>("gift")]
    }

    fn parse(input: &mut Input<'_>) -> Option<Self> {
        Some(Self { gift: input.take("gift")? })
    }

    fn values(&self) -> Values {
        self.gift.map(|gift| ("gift".to_owned(), gift.to_json())).into_iter().collect()
    }
}

async fn ship(batch: &mut data_drip::batch::Batch<'_, Db>, code: &str) -> data_drip::Result {
    stamp(batch).await?;
    sqlx::query(sql("UPDATE items SET word = ? WHERE batch = ?"))
        .bind(code.to_owned())
        .bind(batch.info().id.0)
        .execute(batch.conn())
        .await?;
    moments::pass(Moment::Written).await;
    Ok(())
}

impl Backfill for OldShip {
    type Database = Db;
    const MODE: Mode = Mode::Batch;

    fn scope(&self) -> data_drip::scope::Scope<Db> {
        data_drip::scope::Scope::table("items")
    }

    async fn process(&self, batch: &mut data_drip::batch::Batch<'_, Db>, _: &Context) -> data_drip::Result {
        ship(batch, "old").await
    }
}

impl Backfill for NewShip {
    type Database = Db;
    const MODE: Mode = Mode::Batch;

    fn scope(&self) -> data_drip::scope::Scope<Db> {
        data_drip::scope::Scope::table("items")
    }

    async fn process(&self, batch: &mut data_drip::batch::Batch<'_, Db>, _: &Context) -> data_drip::Result {
        ship(batch, "new").await
    }
}

#[tokio::test]
async fn a_process_without_the_code_leaves_its_run_to_others() {
    let Some(site) = Site::with_items(60).await else { return };
    let person = &site.person;
    let without = site.child("without").start();
    let run = person.enqueue(NewShip { gift: None }).batch_size(10).await.unwrap();
    // It works, and it looks: this run is younger.
    let pack = person.enqueue(Pack { tag: 1 }).batch_size(10).await.unwrap();
    assert_eq!(settled(person, pack.id).await.status, RunStatus::Completed);
    let waiting = person.run(run.id).await.unwrap();
    assert_eq!((waiting.status, waiting.counts.batches), (RunStatus::Enqueued, 0));
    site.database.run("UPDATE items SET touched = 0, batch = NULL").await;

    let with = site.child("with").code(Code::Old).start();
    assert_eq!(settled(person, run.id).await.counts.processed, 60);
    site.audit(run.id).await;
    without.shut_down().await;
    with.shut_down().await;
    site.nothing_is_held().await;
}

#[tokio::test]
async fn two_versions_of_the_code_share_what_both_understand_and_the_younger_does_the_rest() {
    let Some(site) = Site::with_items(60).await else { return };
    let person = &site.person;
    let old = site.child("old").code(Code::Old).start();
    site.becomes("SELECT count(*) FROM data_drip_workers", 1).await;
    let new = site.child("new").code(Code::New).start();
    site.becomes("SELECT count(*) FROM data_drip_workers", 2).await;

    site.folder.hold("old", Moment::Written);
    site.folder.hold("new", Moment::Written);
    let both = person.enqueue(NewShip { gift: None }).batch_size(5).await.unwrap();
    site.folder.reached("old", Moment::Written).await;
    site.folder.reached("new", Moment::Written).await;
    site.folder.release("old", Moment::Written);
    site.folder.release("new", Moment::Written);
    assert_eq!(settled(person, both.id).await.counts.processed, 60);
    site.audit(both.id).await;
    assert_eq!(site.number("SELECT count(DISTINCT word) FROM items").await, 2);

    site.database.run("UPDATE items SET touched = 0, batch = NULL, word = NULL").await;
    let gifts = person.enqueue(NewShip { gift: Some(true) }).batch_size(5).await.unwrap();
    let gifts = settled(person, gifts.id).await;
    assert_eq!((gifts.status, gifts.counts.processed), (RunStatus::Completed, 60), "{gifts:?}");
    site.audit(gifts.id).await;
    assert_eq!(site.number("SELECT count(*) FROM items WHERE word = 'new'").await, 60);
    old.shut_down().await;
    new.shut_down().await;
    site.nothing_is_held().await;
}

/// Another process finishes the run, without waiting for a lease to run out.
async fn the_next_one_goes_on(site: &Site, run: data_drip::RunId) {
    let next = site.child("next").start();
    assert_eq!(settled(&site.person, run).await.status, RunStatus::Completed);
    site.audit(run).await;
    assert_eq!(site.losses().await, 0);
    next.shut_down().await;
    site.nothing_is_held().await;
}

#[tokio::test]
async fn who_is_asked_to_end_finishes_the_batch_in_flight_and_no_other() {
    let Some(site) = Site::with_items(100).await else { return };
    let (first, run) = site.written(site.child("first")).await;
    first.ask_to_end();
    site.folder.reached("first", Moment::Asked).await;
    site.folder.release("first", Moment::Written);
    assert!(first.ended().await.success());
    assert_eq!(site.number("SELECT count(*) FROM ledger").await, 10);
    site.nothing_is_held().await;
    the_next_one_goes_on(&site, run).await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_rolled_back_and_given_back() {
    let Some(site) = Site::with_items(100).await else { return };
    let (first, run) = site.written(site.child("first").grace(Duration::from_millis(100))).await;
    first.shut_down().await;
    assert_eq!(site.number("SELECT count(*) FROM ledger").await, 0);
    site.nothing_is_held().await;
    the_next_one_goes_on(&site, run).await;
}

#[tokio::test]
async fn deploys_in_the_middle_of_a_run_lose_nothing_and_wait_for_nothing() {
    let Some(site) = Site::with_items(1_500).await else { return };
    let person = &site.person;
    let mut herd = vec![site.child("a0").start(), site.child("b0").start()];
    let run = person.enqueue(Pack { tag: 1 }).batch_size(5).await.unwrap();
    for round in 1..=6 {
        let so_far = person.run(run.id).await.unwrap().counts.completed;
        until(async || (person.run(run.id).await.unwrap().counts.completed > so_far).then_some(())).await;
        let next = site.child(&format!("{}{round}", ["a", "b"][round % 2])).start();
        herd.remove(0).shut_down().await;
        herd.push(next);
    }
    let run = settled(person, run.id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 1_500), "{run:?}");
    site.audit(run.id).await;
    assert_eq!(site.losses().await, 0);
    for child in herd {
        child.shut_down().await;
    }
    site.nothing_is_held().await;
}

#[tokio::test]
async fn a_long_run_does_not_starve_a_short_one_over_several_processes() {
    let Some(site) = Site::with_items(400).await else { return };
    let person = &site.person;
    let herd = [site.child("a").start(), site.child("b").start()];
    let long = person.enqueue(Pack { tag: 1 }).batch_size(1).await.unwrap();
    until(async || (person.run(long.id).await.unwrap().counts.completed >= 5).then_some(())).await;
    let short = person.enqueue(Pack { tag: 2 }).batch_size(100).await.unwrap();
    settled(person, short.id).await;
    let long_so_far = person.run(long.id).await.unwrap();
    assert_eq!(long_so_far.status, RunStatus::Running, "{:?}", long_so_far.counts);
    settled(person, long.id).await;
    for child in herd {
        child.shut_down().await;
    }
    assert_eq!(site.number("SELECT count(*) FROM ledger").await, 800);
    assert_eq!(site.number("SELECT min(touched) FROM items").await, 2);
    assert_eq!(site.number("SELECT max(touched) FROM items").await, 2);
}
