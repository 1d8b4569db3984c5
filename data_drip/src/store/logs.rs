//! What user code said: written after its batch has ended, bounded for each run, read a page at a time.

use sea_query::{Expr, ExprTrait, Order, Query};

use crate::backend::{Backend, Statement};
use crate::logs::{LogId, LogLevel, LogLine, LogTotals, Said};
use crate::run::{BatchId, RunId};
use crate::store::{Columns, int, json_list, one};

/// Lines kept of a run.
pub(crate) const MOST: u64 = 10_000;
/// The same with warnings and errors: a talkative run must not push them out.
pub(crate) const MOST_BAD: u64 = 20_000;

/// What was said in one attempt at a batch.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) run: RunId,
    pub(crate) batch: BatchId,
    pub(crate) epoch: i64,
    pub(crate) lines: Vec<Said>,
}

/// Writes pages of one run, as far as it has room, in one transaction; `lost` lines never came this far.
///
/// Safe to repeat after a `COMMIT` without an answer: what was committed is not written again. Only of a write that kept no line,
/// of a run that is full, this cannot be told.
pub(crate) async fn write<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    pages: &[Page],
    lost: u64,
) -> sqlx::Result<()> {
    let mut tx = DB::begin(conn).await?;
    DB::execute(&mut tx, Statement::of(DB::SQL.open_logs).bind(run.0)).await?;
    // Locked: processes that write at the same time share the run's room.
    let totals = one::<DB>(&mut tx, Statement::of(DB::SQL.lock_logs).bind(run.0)).await?;
    // Without them the run is deleted.
    let Some(totals) = totals else { return tx.rollback().await };
    // Who had them before is done by now, this very write included: where one of its lines is, all are, and are counted.
    if is_written::<DB>(&mut tx, pages).await? {
        return tx.rollback().await;
    }
    let before = Columns::<DB>::of(&totals).count()?;
    let (rows, dropped) = fitting(pages, before);
    if !rows.is_empty() {
        DB::execute(&mut tx, Statement::of(DB::SQL.insert_logs).bind(run.0).bind(json_list(&rows))).await?;
    }
    let statement =
        Statement::of(DB::SQL.count_logs).bind(run.0).bind(int(rows.len() as u64)).bind(int(dropped + lost));
    DB::execute(&mut tx, statement).await?;
    tx.commit().await
}

async fn is_written<DB: Backend>(conn: &mut DB::Connection, pages: &[Page]) -> sqlx::Result<bool> {
    let claims: Vec<_> = pages.iter().map(|page| (page.batch.0, page.epoch)).collect();
    Ok(one::<DB>(conn, Statement::of(DB::SQL.peek_logs).bind(json_list(&claims))).await?.is_some())
}

/// A line as `insert_logs` takes it.
type Row<'p> = (i64, i64, i64, i64, &'p str, &'p str, String, i64);

/// The lines that the run has room for, and how many were dropped: those, and what was left out of batches before.
fn fitting(pages: &[Page], before: u64) -> (Vec<Row<'_>>, u64) {
    let (mut rows, mut dropped) = (Vec::new(), 0);
    for (page, said) in pages.iter().flat_map(|page| page.lines.iter().map(move |said| (page, said))) {
        let most = if said.level <= LogLevel::Warn { MOST_BAD } else { MOST };
        dropped += said.dropped;
        if before + rows.len() as u64 >= most {
            dropped += u64::from(said.dropped == 0);
            continue;
        }
        let fields = serde_json::to_string(&said.fields).unwrap_or_else(|_| "{}".to_owned());
        rows.push((
            page.batch.0,
            page.epoch,
            said.at.timestamp_millis(),
            said.level.number(),
            said.target.as_str(),
            said.message.as_str(),
            fields,
            int(said.dropped),
        ));
    }
    (rows, dropped)
}

/// How much was kept of what a run's code said.
pub(crate) async fn totals<DB: Backend>(conn: &mut DB::Connection, run: RunId) -> sqlx::Result<LogTotals> {
    let row = one::<DB>(conn, Statement::of(DB::SQL.select_log_totals).bind(run.0)).await?;
    let Some(row) = row else { return Ok(LogTotals::default()) };
    let mut c = Columns::<DB>::of(&row);
    Ok(LogTotals { kept: c.count()?, dropped: c.count()? })
}

/// Which lines of a run to read.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) batch: Option<BatchId>,
    /// This bad or worse.
    pub(crate) level: Option<LogLevel>,
    pub(crate) after: Option<LogId>,
    pub(crate) before: Option<LogId>,
    /// The newest first.
    pub(crate) backwards: bool,
    pub(crate) limit: u32,
}

/// The lines that match, in the order that was asked for.
pub(crate) async fn list<DB: Backend>(
    conn: &mut DB::Connection,
    run: RunId,
    filter: &Filter,
) -> sqlx::Result<Vec<LogLine>> {
    let col = |column: &'static str| Expr::col(("l", column));
    let mut query = Query::select();
    query
        .exprs(["id", "run_id", "batch_id"].map(col))
        .expr(Expr::col(("b", "position")))
        .exprs(["claim", "at", "level", "target", "message", "fields", "dropped"].map(col))
        .from_as("data_drip_run_logs", "l")
        .join_as(
            sea_query::JoinType::InnerJoin,
            "data_drip_backfill_run_batches",
            "b",
            Expr::col(("b", "id")).equals(("l", "batch_id")),
        )
        .and_where(col("run_id").eq(run.0));
    if let Some(batch) = filter.batch {
        query.and_where(col("batch_id").eq(batch.0));
    }
    if let Some(level) = filter.level {
        query.and_where(col("level").lte(level.number()));
    }
    if let Some(after) = filter.after {
        query.and_where(col("id").gt(after.0));
    }
    if let Some(before) = filter.before {
        query.and_where(col("id").lt(before.0));
    }
    let order = if filter.backwards { Order::Desc } else { Order::Asc };
    query.order_by(("l", "id"), order).limit(u64::from(filter.limit));
    DB::fetch(conn, DB::build(&query)).await?.iter().map(read::<DB>).collect()
}

fn read<DB: Backend>(row: &DB::Row) -> sqlx::Result<LogLine> {
    let mut c = Columns::<DB>::of(row);
    Ok(LogLine {
        id: LogId(c.int()?),
        run_id: RunId(c.int()?),
        batch_id: BatchId(c.int()?),
        position: c.count()?,
        claim: c.int()?,
        at: c.time()?,
        level: LogLevel::of_number(c.int()?).unwrap_or(LogLevel::Info),
        target: c.text()?,
        message: c.text()?,
        fields: c.opt_json()?.unwrap_or_default(),
        dropped: c.count()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: usize, level: LogLevel) -> Page {
        let said = Said {
            at: chrono::Utc::now(),
            level,
            target: String::new(),
            message: String::new(),
            fields: serde_json::Map::new(),
            dropped: 0,
        };
        Page { run: RunId(1), batch: BatchId(1), epoch: 1, lines: vec![said; lines] }
    }

    #[test]
    fn a_full_run_keeps_what_is_bad_and_counts_what_it_drops() {
        let pages = [page(3, LogLevel::Info), page(2, LogLevel::Error)];
        let (rows, dropped) = fitting(&pages, MOST - 1);
        assert_eq!((rows.len(), dropped), (3, 2));
        let (rows, dropped) = fitting(&pages, MOST_BAD - 1);
        assert_eq!((rows.len(), dropped), (1, 4));
    }
}
