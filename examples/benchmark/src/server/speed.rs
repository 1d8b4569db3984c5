//! The engine beside hand-written loops with as many workers, and beside one single UPDATE.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::database::{Place, builder, drip};
use super::processes::{Child, Worker, race};
use super::{Server, pool};
use crate::backfills::{AddEmail, AddRole};
use crate::engine;
use crate::handwritten::{BOOKS, Books, Share};
use crate::table::{Table, grouped, median, rate, rounded};

/// How much work it makes of it.
#[derive(Clone)]
pub(crate) struct Scale {
    /// Each side of a comparison runs this often.
    pub(super) rounds: usize,
    /// Of a comparison.
    pub(super) rows: u64,
    /// Batch sizes, and workers at a time, slots or processes.
    pub(super) sizes: Cow<'static, [u64]>,
    pub(super) workers: Cow<'static, [u64]>,
    /// Of the comparison row by row: each of them is a round trip.
    pub(super) elements: u64,
    pub(super) element_rounds: usize,
    /// Processes killed.
    pub(super) kills: u32,
    /// Batches of a run in which user code does nothing.
    pub(super) empty: u64,
    /// Batches of the great run.
    pub(super) many: u64,
}

impl Scale {
    pub(super) const POSTGRES: Self = Self {
        rounds: 5,
        rows: 1_000_000,
        sizes: Cow::Borrowed(&[100, 1_000, 10_000]),
        workers: Cow::Borrowed(&[1, 2, 4]),
        elements: 100_000,
        element_rounds: 3,
        kills: 5,
        empty: 20_000,
        many: 100_000,
    };
    /// Slower there, so less of it.
    pub(super) const MYSQL: Self =
        Self { rounds: 3, rows: 300_000, elements: 50_000, element_rounds: 2, empty: 5_000, ..Self::POSTGRES };
    pub(super) const QUICK: Self = Self {
        rounds: 1,
        rows: 50_000,
        elements: 5_000,
        element_rounds: 1,
        kills: 1,
        empty: 1_000,
        many: 5_000,
        ..Self::POSTGRES
    };

    /// Takes over what an argument says; `false` for one that is none of these.
    pub(super) fn set(&mut self, argument: &str) -> Result<bool> {
        let Some((name, values)) = argument.split_once('=') else { return Ok(false) };
        let values = values.split(',').map(|value| value.replace('_', "").parse());
        let values: Vec<u64> = values.collect::<Result<_, _>>().with_context(|| format!("no numbers: {argument}"))?;
        let first = *values.first().context("no number")?;
        match name {
            "--rounds" => {
                self.rounds = usize::try_from(first)?;
                self.element_rounds = self.rounds;
            }
            "--rows" => self.rows = first,
            "--elements" => self.elements = first,
            "--sizes" => self.sizes = values.into(),
            "--workers" => self.workers = values.into(),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What is compared.
#[derive(Clone, Copy)]
enum Kind {
    Batches,
    Elements,
}

impl Kind {
    async fn ours<DB: Server>(self, place: &Place<DB>, rows: u64, size: u64, slots: u64) -> Result<Duration> {
        place.fresh(rows).await?;
        let pool = pool::<DB>(place.work());
        let drip = drip(pool.clone(), usize::try_from(slots)?).await?;
        let outcome = match self {
            Self::Batches => engine::run(&drip, AddRole::<DB>::default(), size, rows).await?,
            Self::Elements => engine::run(&drip, AddEmail::<DB>::default(), size, rows).await?,
        };
        pool.close().await;
        Ok(outcome.elapsed)
    }

    /// As many loops as workers, each over its own share of the keys.
    async fn handwritten<DB: Server>(
        self,
        place: &Place<DB>,
        rows: u64,
        size: u64,
        workers: u64,
        books: Books,
    ) -> Result<Duration> {
        place.fresh(rows).await?;
        let pool = pool::<DB>(place.work());
        if books == Books::Kept {
            let mut conn = pool.acquire().await?;
            for table in BOOKS.split_inclusive(';') {
                DB::run(&mut conn, table.to_owned()).await?;
            }
        }
        let size = i64::try_from(size)?;
        let mut ready = Vec::new();
        for share in Share::among(workers, rows) {
            ready.push((pool.acquire().await?, share));
        }
        let begun = Instant::now();
        // Tasks of the runtime, as in a host, and as the engine's are.
        let loops: Vec<_> = ready
            .into_iter()
            .map(|(mut conn, share)| {
                tokio::spawn(async move {
                    match self {
                        Self::Batches => DB::add_role(&mut conn, share, size, books).await,
                        Self::Elements => DB::add_email(&mut conn, share, size).await,
                    }
                })
            })
            .collect();
        let mut updated = 0;
        for each in loops {
            updated += each.await??;
        }
        let elapsed = begun.elapsed();
        ensure!(updated == rows, "the hand-written loops updated {updated} of {rows} rows");
        pool.close().await;
        Ok(elapsed)
    }
}

/// One UPDATE for the whole table.
async fn single<DB: Server>(place: &Place<DB>, rows: u64) -> Result<Duration> {
    place.fresh(rows).await?;
    let pool = pool::<DB>(place.work());
    let mut conn = pool.acquire().await?;
    let begun = Instant::now();
    DB::run(&mut conn, "UPDATE employees SET role = 'intern' WHERE role IS NULL".to_owned()).await?;
    let elapsed = begun.elapsed();
    drop(conn);
    pool.close().await;
    Ok(elapsed)
}

/// A worker in each of several processes.
async fn ours_in_processes<DB: Server>(place: &Place<DB>, rows: u64, size: u64, processes: u64) -> Result<Duration> {
    place.fresh(rows).await?;
    let pool = pool::<DB>(place.work());
    let drip = builder(pool.clone(), 1).poll_interval(Duration::from_millis(100)).build().await?;
    let mut workers = Vec::new();
    for _ in 0..processes {
        workers.push(Child::worker(place, &Worker::DEFAULT).await?);
    }
    let run = drip.enqueue(AddRole::<DB>::default()).batch_size(size).await?;
    let run = drip.wait(run.id).await?;
    for worker in workers {
        worker.end().await?;
    }
    pool.close().await;
    engine::check(&run, rows)?;
    // By the database's clock: this process only looks now and then.
    let finished = run.finished_at.context("a settled run has no end")?;
    Ok((finished - run.created_at).to_std()?)
}

async fn loops_in_processes<DB: Server>(place: &Place<DB>, rows: u64, size: u64, processes: u64) -> Result<Duration> {
    place.fresh(rows).await?;
    let mut loops = Vec::new();
    for share in Share::among(processes, rows) {
        loops.push(Child::handwritten(place, share, size).await?);
    }
    let (elapsed, updated) = race(&mut loops).await?;
    ensure!(updated == rows, "the hand-written loops updated {updated} of {rows} rows");
    for each in loops {
        each.end().await?;
    }
    Ok(elapsed)
}

/// What the rounds of one row of the table gave, in rows per second.
#[derive(Default)]
struct Rates {
    theirs: Vec<f64>,
    /// With books.
    kept: Vec<f64>,
    ours: Vec<f64>,
}

impl Rates {
    fn cells(&self) -> [String; 4] {
        let mut ratios: Vec<f64> = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        let [theirs, ours] = [&self.theirs, &self.ours].map(|rates| median(rates).unwrap_or_default());
        [
            format!("{} rows/s", rounded(theirs)),
            format!("{} rows/s", rounded(ours)),
            format!("{:.2}", ours / theirs),
            ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" "),
        ]
    }

    /// Those of the loops with books, by those of the loops without.
    fn kept(&self) -> String {
        let [kept, theirs] = [&self.kept, &self.theirs].map(|rates| median(rates).unwrap_or_default());
        format!("{:.2}", kept / theirs)
    }

    fn of(&self, single: &[f64]) -> String {
        let [ours, single] = [&self.ours, single].map(|rates| median(rates).unwrap_or_default());
        format!("{:.2}", ours / single)
    }
}

pub(super) async fn batches<DB: Server>(place: &Place<DB>, scale: &Scale) -> Result<()> {
    let Scale { rows, rounds, .. } = *scale;
    println!(
        "{} rows, {rounds} rounds each, in turn, every round on a fresh copy of the same database; medians. Ours from \
         enqueueing until the run is settled, with as many slots as there are hand-written loops. With books: how fast the \
         same loops are when each transaction also inserts a row for its batch and updates one that says how far its loop is.\n",
        grouped(rows)
    );
    let cells: Vec<_> = scale.sizes.iter().flat_map(|&size| scale.workers.iter().map(move |&n| (size, n))).collect();
    let mut rates: Vec<Rates> = cells.iter().map(|_| Rates::default()).collect();
    let mut singles = Vec::new();
    for round in 0..rounds {
        singles.push(rate(rows, single(place, rows).await?));
        for (&(size, workers), rates) in cells.iter().zip(&mut rates) {
            // Who comes first changes, in case that is an advantage.
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                if is_ours {
                    rates.ours.push(rate(rows, Kind::Batches.ours(place, rows, size, workers).await?));
                } else {
                    for (books, rates) in [(Books::None, &mut rates.theirs), (Books::Kept, &mut rates.kept)] {
                        let elapsed = Kind::Batches.handwritten(place, rows, size, workers, books).await?;
                        rates.push(rate(rows, elapsed));
                    }
                }
            }
        }
    }
    let mut table = Table::new([
        "batch size",
        "workers",
        "hand-written",
        "with books",
        "DataDrip",
        "ratio",
        "each round's",
        "of one UPDATE",
    ]);
    for ((size, workers), rates) in cells.iter().zip(&rates) {
        let [theirs, ours, ratio, each] = rates.cells();
        table.row([&grouped(*size), workers, &theirs, &rates.kept(), &ours, &ratio, &each, &rates.of(&singles)]);
    }
    print!("{table}");
    println!(
        "\nOne UPDATE for the whole table: {} rows/s (each round's: {}).",
        rounded(median(&singles).unwrap_or_default()),
        singles.iter().map(|&rate| rounded(rate)).collect::<Vec<_>>().join(" ")
    );
    Ok(())
}

pub(super) async fn elements<DB: Server>(place: &Place<DB>, scale: &Scale) -> Result<()> {
    let (rows, rounds) = (scale.elements, scale.element_rounds);
    println!(
        "{} rows, since each is a round trip of the user's own; {rounds} rounds, in turn, medians.\n",
        grouped(rows)
    );
    let cells: Vec<_> = scale.sizes.iter().map(|&size| (size, 1)).chain([(1_000, 4)]).collect();
    let mut rates: Vec<Rates> = cells.iter().map(|_| Rates::default()).collect();
    for round in 0..rounds {
        for (&(size, workers), rates) in cells.iter().zip(&mut rates) {
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                if is_ours {
                    rates.ours.push(rate(rows, Kind::Elements.ours(place, rows, size, workers).await?));
                } else {
                    rates
                        .theirs
                        .push(rate(rows, Kind::Elements.handwritten(place, rows, size, workers, Books::None).await?));
                }
            }
        }
    }
    let mut table = Table::new(["batch size", "workers", "hand-written", "DataDrip", "ratio", "each round's"]);
    for ((size, workers), rates) in cells.iter().zip(&rates) {
        let [theirs, ours, ratio, each] = rates.cells();
        table.row([&grouped(*size), workers, &theirs, &ours, &ratio, &each]);
    }
    print!("{table}");
    Ok(())
}

pub(super) async fn processes<DB: Server>(place: &Place<DB>, scale: &Scale) -> Result<()> {
    const SIZE: u64 = 1_000;
    let (rows, rounds) = (scale.rows, scale.element_rounds);
    println!(
        "{} rows in batches of {}, {rounds} rounds, in turn, medians. One slot or one hand-written loop in each process. Ours \
         by the database's clock, from the run's creation until it is settled; the loops have their shares of the keys \
         before the clock runs, and wait for a sign.\n",
        grouped(rows),
        grouped(SIZE)
    );
    let mut rates: Vec<Rates> = scale.workers.iter().map(|_| Rates::default()).collect();
    for round in 0..rounds {
        for (&processes, rates) in scale.workers.iter().zip(&mut rates) {
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                if is_ours {
                    rates.ours.push(rate(rows, ours_in_processes(place, rows, SIZE, processes).await?));
                } else {
                    rates.theirs.push(rate(rows, loops_in_processes(place, rows, SIZE, processes).await?));
                }
            }
        }
    }
    let mut table = Table::new(["processes", "hand-written", "DataDrip", "ratio", "each round's"]);
    for (processes, rates) in scale.workers.iter().zip(&rates) {
        let [theirs, ours, ratio, each] = rates.cells();
        table.row([processes, &theirs, &ours, &ratio, &each]);
    }
    print!("{table}");
    Ok(())
}
