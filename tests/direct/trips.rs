//! What a batch costs on the way to the server, counted between the engine and it.

#[path = "../../examples/benchmark/src/proxy.rs"]
mod proxy;

use std::time::Duration;

use data_drip::RunStatus;

use self::proxy::Proxy;
use crate::database::prelude::*;
use crate::database::{BEGINS, Database, TRIPS, WRITES};
use crate::suite::gate::Gate;
use crate::suite::settled;

/// One writing helper in each batch.
#[backfill(batch_size = 10)]
struct SayHello;

#[backfill]
impl SayHello {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("word").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("word", "hello").execute().await?;
        Ok(())
    }
}

/// From the beginning of a batch's transaction to that of the next one, `BEGIN` and `COMMIT` among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_batch_costs_a_handful_of_round_trips() {
    let Some(database) = Database::with_items(2_000).await else { return };
    let proxy = Proxy::start((database.place.host(), database.place.port()), BEGINS).await.unwrap();
    let builder = database.place.by_way_of(proxy.port()).builder().lease(Duration::from_mins(1));
    let drip = builder.state(Gate::default()).build().await.unwrap();
    let worker = drip.start();
    let run = drip.enqueue(SayHello).await.unwrap();
    let run = settled(&drip, run.id).await;
    worker.shutdown().await;
    assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 200));
    let mut trips = proxy.trips();
    trips.sort_unstable();
    // Some begin after a pause, with a claim of their own.
    assert_eq!(trips[trips.len() / 2], TRIPS + WRITES, "{trips:?}");
}
