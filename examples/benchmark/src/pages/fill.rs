//! DataDrip's own tables with many runs and batches in them, as the databases spell it.

use anyhow::{Context, Result};
use data_drip::backend::Backend;
use data_drip::backfill::BoxFuture;
use sqlx::{AssertSqlSafe, MySql, Pool, Postgres, Sqlite};

use super::Amount;

/// What differs in the statements that fill the tables.
pub(crate) trait Filled: Backend {
    /// The milliseconds since 1970, now.
    const NOW: &'static str;
    /// Has the optimizer look at the tables.
    const ANALYZE: &'static str;

    /// A table with the column `i`, from 1 on.
    fn numbers(upto: u64) -> String;
    /// These texts and numbers after each other.
    fn joined(parts: &[&str]) -> String;
    /// Runs statements.
    fn script(pool: &Pool<Self>, script: String) -> BoxFuture<'_, sqlx::Result<()>>;
}

impl Filled for Sqlite {
    const NOW: &'static str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
    const ANALYZE: &'static str = "ANALYZE";

    fn numbers(upto: u64) -> String {
        format!("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {upto}) SELECT i FROM n)")
    }

    fn joined(parts: &[&str]) -> String {
        parts.join(" || ")
    }

    fn script(pool: &Pool<Self>, script: String) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.map(drop) })
    }
}

impl Filled for Postgres {
    const NOW: &'static str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    const ANALYZE: &'static str = "VACUUM (ANALYZE)";

    fn numbers(upto: u64) -> String {
        format!("(SELECT i FROM generate_series(1::bigint, {upto}) AS i)")
    }

    fn joined(parts: &[&str]) -> String {
        parts.join(" || ")
    }

    fn script(pool: &Pool<Self>, script: String) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.map(drop) })
    }
}

impl Filled for MySql {
    const NOW: &'static str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000";
    const ANALYZE: &'static str = "ANALYZE TABLE data_drip_backfill_runs, data_drip_backfill_run_batches, \
        data_drip_run_events, data_drip_run_logs, data_drip_run_log_totals, data_drip_workers";

    fn numbers(upto: u64) -> String {
        format!("(SELECT seq AS i FROM seq_1_to_{upto})")
    }

    fn joined(parts: &[&str]) -> String {
        format!("CONCAT({})", parts.join(", "))
    }

    fn script(pool: &Pool<Self>, script: String) -> BoxFuture<'_, sqlx::Result<()>> {
        Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.map(drop) })
    }
}

/// Fills the tables: settled runs, one in twenty of them failed, and a great one that is running, its last batches an
/// instant ago.
pub(crate) async fn fill<DB: Filled>(pool: &Pool<DB>, amount: Amount) -> Result<()> {
    let statements =
        [runs::<DB>(amount), batches::<DB>(amount), great::<DB>(amount), words::<DB>(amount), workers::<DB>()];
    for statement in statements.into_iter().flatten().chain([DB::ANALYZE.to_owned()]) {
        DB::script(pool, statement).await.context("the tables could not be filled")?;
    }
    Ok(())
}

/// Batches of each settled run.
fn each(amount: Amount) -> u64 {
    (amount.batches - amount.great) / (amount.runs - 1)
}

fn runs<DB: Filled>(amount: Amount) -> Vec<String> {
    let (Amount { runs, great, .. }, each, now) = (amount, each(amount), DB::NOW);
    let name = DB::joined(&["'backfill_'", "(i % 40)"]);
    let [person, called] = [DB::joined(&["'p'", "(i % 25)"]), DB::joined(&["'Person '", "(i % 25)"])];
    let planned = format!("CASE WHEN i = {runs} THEN {great} ELSE {each} END");
    let failed = each / 20;
    vec![format!(
        "INSERT INTO data_drip_backfill_runs (
             id, backfill, options, active_key, batch_size, sleep_ms, queue, max_attempts, status, backfiller_id,
             backfiller_name, created_at, started_at, finished_at, prepared, key_spec, planned, planned_batches,
             planned_elements, total, total_exact, processed
         )
         SELECT i, CASE WHEN i % 40 = 0 THEN 'add_role' ELSE {name} END, '{{}}',
             CASE WHEN i = {runs} THEN 'great' END, 1000, 0, 'default', 1,
             CASE WHEN i = {runs} THEN 'running' WHEN i % 20 = 0 THEN 'failed' ELSE 'completed' END, {person}, {called},
             moment.now - ({runs} - i) * 300000 - 3600000, moment.now - ({runs} - i) * 300000 - 3600000,
             CASE WHEN i < {runs} THEN moment.now - ({runs} - i) * 300000 - 3000000 END,
             1, '{{\"schema\":null,\"table\":\"employees\",\"columns\":[\"id\"]}}', 1, {planned}, {planned} * 1000,
             {planned} * 1000, 1, CASE WHEN i < {runs} THEN ({each} - CASE WHEN i % 20 = 0 THEN {failed} ELSE 0 END) * 1000 END
         FROM {} AS n, (SELECT {now} AS now) AS moment",
        DB::numbers(runs)
    )]
}

/// The keys of batch `i`: from, and up to.
fn keys<DB: Filled>() -> [String; 2] {
    let key = |number: &str| DB::joined(&["'[{\"t\":\"integer\",\"v\":\"'", number, "'\"}]'"]);
    [format!("CASE WHEN i > 1 THEN {} END", key("((i - 1) * 1000)")), key("(i * 1000)")]
}

fn batches<DB: Filled>(amount: Amount) -> Vec<String> {
    let [after, upto] = keys::<DB>();
    let error = DB::joined(&["'row '", "i", "': no such zone\ncaused by: x'"]);
    let poison = "r.status = 'failed' AND i % 20 = 0";
    vec![format!(
        "INSERT INTO data_drip_backfill_run_batches (
             run_id, position, after_key, upto_key, planned_size, processed, status, due_at, attempts, worker, epoch, error,
             started_at, finished_at
         )
         SELECT r.id, i, {after}, {upto}, 1000, CASE WHEN NOT ({poison}) THEN 1000 END,
             CASE WHEN {poison} THEN 'failed' ELSE 'completed' END, 0, CASE WHEN {poison} THEN 1 ELSE 0 END, 'worker', 1,
             CASE WHEN {poison} THEN {error} END, r.started_at + i * 9000 - 500, r.started_at + i * 9000
         FROM data_drip_backfill_runs r, {} AS n WHERE r.id < {}",
        DB::numbers(each(amount)),
        amount.runs
    )]
}

fn great<DB: Filled>(amount: Amount) -> Vec<String> {
    let (Amount { runs, great, .. }, now) = (amount, DB::NOW);
    let [after, upto] = keys::<DB>();
    let ago = format!("({great} - i) * 3600000 / {great}");
    let (done, begun) = (great - 24, great - 20);
    vec![format!(
        "INSERT INTO data_drip_backfill_run_batches (
             run_id, position, after_key, upto_key, planned_size, processed, status, due_at, worker, epoch, started_at,
             finished_at
         )
         SELECT {runs}, i, {after}, {upto}, 1000, CASE WHEN i <= {done} THEN 1000 END,
             CASE WHEN i <= {done} THEN 'completed' WHEN i <= {begun} THEN 'running' ELSE 'pending' END, 0,
             CASE WHEN i <= {begun} THEN 'worker' END, 1, CASE WHEN i <= {begun} THEN moment.now - {ago} - 500 END,
             CASE WHEN i <= {done} THEN moment.now - {ago} END
         FROM {} AS n, (SELECT {now} AS now) AS moment",
        DB::numbers(great)
    )]
}

fn words<DB: Filled>(amount: Amount) -> Vec<String> {
    let runs = amount.runs;
    let fields = DB::joined(&["'{\"row\":'", "i", "'}'"]);
    vec![
        "INSERT INTO data_drip_run_events (run_id, at, action, backfiller_id, backfiller_name)
         SELECT id, created_at, 'enqueued', backfiller_id, backfiller_name FROM data_drip_backfill_runs"
            .to_owned(),
        format!(
            "INSERT INTO data_drip_run_logs (run_id, batch_id, claim, at, level, target, message, fields, dropped)
             SELECT b.run_id, b.id, 1, b.finished_at, CASE WHEN i % 50 = 0 THEN 2 ELSE 3 END, 'backfills', 'a line', {fields}, 0
             FROM {} AS n JOIN data_drip_backfill_run_batches b ON b.run_id = {runs} AND b.position = n.i",
            DB::numbers(10_000)
        ),
        format!("INSERT INTO data_drip_run_log_totals VALUES ({runs}, 10000, 12345)"),
    ]
}

fn workers<DB: Filled>() -> Vec<String> {
    let name = DB::joined(&["'worker '", "i"]);
    vec![format!(
        "INSERT INTO data_drip_workers
         SELECT CASE WHEN i = 1 THEN 'worker' ELSE {name} END, 'host', i, '0.1.0', 4, '[]', 9, now - 9000000,
             now - i * 900000, now + 30000000 - i * 3000000
         FROM {} AS n, (SELECT {} AS now) AS moment",
        DB::numbers(20),
        DB::NOW
    )]
}
