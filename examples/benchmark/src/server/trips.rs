//! Round trips per batch, counted by a proxy between the engine and the server.

use anyhow::{Context, Result};

use super::database::{Place, drip};
use super::{Server, pool};
use crate::backfills::AddRole;
use crate::engine;
use crate::proxy::Proxy;
use crate::table::{Table, grouped, median};

const BATCHES: u64 = 400;
const SIZE: u64 = 100;

pub(super) async fn count<DB: Server>(place: &Place<DB>) -> Result<()> {
    let rows = BATCHES * SIZE;
    place.fresh(rows).await?;
    let proxy = Proxy::start(DB::address(&place.work()), DB::MARK).await?;
    let pool = pool::<DB>(DB::through(place.work(), proxy.port()));
    engine::run(&drip(pool.clone(), 1).await?, AddRole::<DB>::default(), SIZE, rows).await?;
    pool.close().await;
    let trips = proxy.trips();
    println!(
        "Counted by a proxy between the engine and the server, from the beginning of one batch's transaction to that of the \
         next on the same connection, over {} batches: what the client sends until something comes back is one round trip. BEGIN \
         and COMMIT are in it.\n",
        grouped(trips.len() as u64 + 1)
    );
    let middle = median(&trips).context("no batch was seen")?;
    let as_many = trips.iter().filter(|&&count| count == middle).count();
    let mut table = Table::new(["of a batch", "the user's", "the engine's", "aim", "batches with as many"]);
    table.row([&middle, &1, &(middle - 1), &DB::TRIPS, &format!("{as_many} of {}", trips.len())]);
    print!("{table}");
    Ok(())
}
