//! What claiming, completing and settling cost when user code does nothing, with few batches and with many.

use std::time::Duration;

use anyhow::Result;

use super::database::{Place, drip};
use super::speed::Scale;
use super::{Server, pool};
use crate::backfills::Nothing;
use crate::engine;
use crate::table::{Table, grouped, rate, rounded};

pub(super) async fn claims<DB: Server>(place: &Place<DB>, scale: &Scale) -> Result<()> {
    println!(
        "{} batches of one row each, of which user code does nothing: planning, claiming, completing and settling are all that \
         there is. Each batch is also counted, on another connection, as user code does not say what it did.\n",
        grouped(scale.empty)
    );
    let mut table = Table::new(["slots", "batches/s", "each"]);
    for slots in [1, 4, 16] {
        let elapsed = empty_run(place, scale.empty, slots, false).await?;
        let mean = elapsed.as_secs_f64() * 1_000.0 / rate(scale.empty, Duration::from_secs(1));
        table.row([&slots, &rounded(rate(scale.empty, elapsed)), &format!("{mean:.2} ms")]);
    }
    print!("{table}");
    Ok(())
}

/// A run of so many empty batches, with other runs beside it in the table if so wanted.
async fn empty_run<DB: Server>(place: &Place<DB>, batches: u64, slots: usize, crowded: bool) -> Result<Duration> {
    place.fresh(batches).await?;
    let pool = pool::<DB>(place.work());
    let drip = drip(pool.clone(), slots).await?;
    if crowded {
        DB::run(&mut *pool.acquire().await?, DB::settled_runs(1_000)).await?;
    }
    let outcome = engine::run(&drip, Nothing::<DB>::default(), 1, batches).await?;
    pool.close().await;
    Ok(outcome.elapsed)
}

pub(super) async fn flat<DB: Server>(place: &Place<DB>, scale: &Scale) -> Result<()> {
    const SLOTS: usize = 4;
    println!(
        "One run of {} batches in which user code does nothing, {SLOTS} slots, by the times at which its batches were committed. \
         The statistics of DataDrip's own tables are those of a run of 20 batches before it.\n",
        grouped(scale.many)
    );
    place.fresh(scale.many).await?;
    let pool = pool::<DB>(place.work());
    engine::run(&drip(pool.clone(), 1).await?, Nothing::<DB>::default(), scale.many / 20, scale.many).await?;
    DB::run(&mut *pool.acquire().await?, DB::ANALYZE.to_owned()).await?;
    engine::run(&drip(pool.clone(), SLOTS).await?, Nothing::<DB>::default(), 1, scale.many).await?;
    let mut conn = pool.acquire().await?;
    let mut table = Table::new(["batches", "batches/s"]);
    for tenth in [0, 4, 9] {
        let [from, upto] = [tenth, tenth + 1].map(|part| scale.many * part / 10);
        let at = |nth: u64| {
            format!(
                "SELECT finished_at FROM data_drip_backfill_run_batches WHERE run_id = 2 ORDER BY finished_at LIMIT 1 OFFSET {nth}"
            )
        };
        let [began, ended] = [DB::number(&mut conn, at(from)).await?, DB::number(&mut conn, at(upto - 1)).await?];
        let elapsed = Duration::from_millis(u64::try_from(ended - began)?);
        table.row([&format!("{} to {}", grouped(from + 1), grouped(upto)), &rounded(rate(upto - from, elapsed))]);
    }
    let settling =
        "SELECT r.finished_at - (SELECT max(b.finished_at) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id)
         FROM data_drip_backfill_runs r WHERE r.id = 2";
    let settling = DB::number(&mut conn, settling.to_owned()).await?;
    drop(conn);
    pool.close().await;
    print!("{table}");
    println!("\nSettled {settling} ms after its last batch was completed.");
    let alone = empty_run(place, scale.empty, SLOTS, false).await?;
    let crowded = empty_run(place, scale.empty, SLOTS, true).await?;
    let [alone, crowded] = [alone, crowded].map(|elapsed| rounded(rate(scale.empty, elapsed)));
    println!(
        "A run of {} such batches: {alone} batches/s alone in the table, {crowded} with 1,000 runs that are settled.",
        grouped(scale.empty)
    );
    Ok(())
}
