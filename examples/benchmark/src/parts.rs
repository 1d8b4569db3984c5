//! The parts of the report: each measures something and prints its table.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use data_drip::sqlite::prelude::DataDrip;
use sqlx::Sqlite;

use crate::backfills::{AddEmail, AddRole};
use crate::child::{self, First, Told};
use crate::database::{Folder, Shape, Template, open};
use crate::handwritten::{Books, Loops, Share};
use crate::pages::Amount;
use crate::statements::Figures;
use crate::table::{Table, grouped, median, millis, rate, rounded};
use crate::{engine, pages as dashboard};

/// How much work it makes of it.
pub(crate) struct Scale {
    /// Each side of a comparison runs this often.
    rounds: usize,
    /// Of a comparison.
    rows: u64,
    /// Of tables whose first batch and memory are compared.
    sizes: [u64; 3],
    /// Of the table of which next to nothing matches.
    sparse: u64,
    /// Of the run whose statements are counted.
    trips: u64,
    /// What the dashboard has to show.
    pages: Amount,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        rows: 1_000_000,
        sizes: [10_000, 1_000_000, 5_000_000],
        sparse: 5_000_000,
        trips: 200_000,
        pages: Amount::FULL,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        rows: 100_000,
        sizes: [10_000, 100_000, 500_000],
        sparse: 500_000,
        trips: 50_000,
        pages: Amount::QUICK,
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Batches,
    Elements,
    Start,
    Sparse,
    Trips,
    Pages,
    Idle,
}

impl Part {
    pub(crate) const ALL: [Self; 7] =
        [Self::Batches, Self::Elements, Self::Start, Self::Sparse, Self::Trips, Self::Pages, Self::Idle];

    fn name(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Elements => "elements",
            Self::Start => "start",
            Self::Sparse => "sparse",
            Self::Trips => "trips",
            Self::Pages => "pages",
            Self::Idle => "idle",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Batches => "`process_batch` beside a hand-written loop",
            Self::Elements => "`process_element` beside a hand-written loop",
            Self::Start => "The first batch, and memory",
            Self::Sparse => "A sparse scope",
            Self::Trips => "Round trips per batch",
            Self::Pages => "Pages of the dashboard",
            Self::Idle => "A minute of idleness",
        }
    }

    pub(crate) async fn run(self, folder: &Folder, scale: &Scale) -> Result<()> {
        match self {
            Self::Batches => beside(Kind::Batches, folder, scale).await,
            Self::Elements => beside(Kind::Elements, folder, scale).await,
            Self::Start => start(folder, scale).await,
            Self::Sparse => sparse(folder, scale).await,
            Self::Trips => trips(folder, scale).await,
            Self::Pages => pages(folder, scale).await,
            Self::Idle => idle(folder).await,
        }
    }
}

/// What is compared.
#[derive(Clone, Copy)]
enum Kind {
    Batches,
    Elements,
}

impl Kind {
    async fn ours(self, file: &Path, batch_size: u64, rows: u64) -> Result<Duration> {
        let pool = open(file).await?;
        let builder = DataDrip::builder(pool.clone()).with::<AddRole<Sqlite>>().with::<AddEmail<Sqlite>>();
        let drip = builder.build().await?;
        let outcome = match self {
            Self::Batches => engine::run(&drip, AddRole::default(), batch_size, rows).await?,
            Self::Elements => engine::run(&drip, AddEmail::default(), batch_size, rows).await?,
        };
        pool.close().await;
        Ok(outcome.elapsed)
    }

    async fn handwritten(self, file: &Path, batch_size: u64, rows: u64) -> Result<Duration> {
        let pool = open(file).await?;
        let size = i64::try_from(batch_size)?;
        let mut conn = pool.acquire().await?;
        // A task of the runtime, as in a host, and as the engine's are: what `main` itself awaits wakes up faster.
        let (updated, elapsed) = tokio::spawn(async move {
            let begun = Instant::now();
            let updated = match self {
                Self::Batches => Sqlite::add_role(&mut conn, Share::ALL, size, Books::None).await?,
                Self::Elements => Sqlite::add_email(&mut conn, Share::ALL, size).await?,
            };
            anyhow::Ok((updated, begun.elapsed()))
        })
        .await??;
        ensure!(updated == rows, "the hand-written loop updated {updated} of {rows} rows");
        pool.close().await;
        Ok(elapsed)
    }
}

async fn beside(kind: Kind, folder: &Folder, scale: &Scale) -> Result<()> {
    println!(
        "{} rows, {} rounds each, in turn, every round on a fresh copy of the same file; medians. Ours from enqueueing \
         until the run is settled.\n",
        grouped(scale.rows),
        scale.rounds
    );
    let template = Template::new(folder, scale.rows, Shape::Dense).await?;
    let mut table = Table::new(["batch size", "hand-written", "DataDrip", "ratio", "each round's", "target"]);
    for (size, target) in [(100, 0.7), (1_000, 0.9), (10_000, 0.9)] {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 0..scale.rounds {
            // Who comes first changes, in case that is an advantage.
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                let file = template.copy()?;
                if is_ours {
                    ours.push(rate(template.rows, kind.ours(&file, size, template.rows).await?));
                } else {
                    theirs.push(rate(template.rows, kind.handwritten(&file, size, template.rows).await?));
                }
            }
        }
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        let [ours, theirs] = [ours, theirs].map(|rates| median(&rates).unwrap_or_default());
        table.row([
            &grouped(size),
            &format!("{} rows/s", rounded(theirs)),
            &format!("{} rows/s", rounded(ours)),
            &format!("{:.2}", ours / theirs),
            &ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" "),
            &format!("{target:.1}"),
        ]);
    }
    print!("{table}");
    Ok(())
}

async fn start(folder: &Folder, scale: &Scale) -> Result<()> {
    println!(
        "A dense scope, batches of 1,000, each run in a process of its own, to its end; medians of {}. The first batch \
         from enqueueing until a hook was told of its commit; memory is the process's peak (`VmHWM`). Target: the \
         greatest within 1.5 of the least.\n",
        scale.rounds
    );
    let mut table = Table::new(["rows", "first batch", "peak memory", "whole run"]);
    let (mut firsts, mut peaks) = (Vec::new(), Vec::new());
    for rows in scale.sizes {
        let template = Template::new(folder, rows, Shape::Dense).await?;
        let mut told: Vec<First> = Vec::new();
        for _ in 0..scale.rounds {
            told.push(child::first(&template.copy()?, rows).await?);
        }
        let of = |pick: fn(&First) -> f64| median(&told.iter().map(pick).collect::<Vec<_>>()).unwrap_or_default();
        let (first, peak) = (of(|told| told.committed_secs), of(|told| told.peak_mib));
        firsts.push(first);
        peaks.push(peak);
        table.row([
            &grouped(rows),
            &format!("{:.1} ms", first * 1_000.0),
            &format!("{peak:.1} MiB"),
            &format!("{:.1} s", of(|told| told.whole_secs)),
        ]);
    }
    table.row([&"greatest / least", &format!("{:.2}", spread(&firsts)), &format!("{:.2}", spread(&peaks)), &""]);
    print!("{table}");
    Ok(())
}

fn spread(values: &[f64]) -> f64 {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    values.iter().copied().fold(0.0, f64::max) / least
}

async fn sparse(folder: &Folder, scale: &Scale) -> Result<()> {
    println!(
        "1,000 rows match, at the end of {}; no index on the filter. Target: no statement longer than a second.\n",
        grouped(scale.sparse)
    );
    let template = Template::new(folder, scale.sparse, Shape::Sparse).await?;
    let Told { whole, mut statements, .. } = child::statements(&template.copy()?, 1_000).await?;
    statements.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.longest));
    let mut table = Table::new(["longest", "times", "statement"]);
    for (statement, figures) in statements.iter().take(5) {
        table.row([&millis(figures.longest), &grouped(figures.count), &shortened(&statement.sql)]);
    }
    print!("{table}");
    println!("\nThe whole run took {}.", millis(whole));
    Ok(())
}

async fn trips(folder: &Folder, scale: &Scale) -> Result<()> {
    let template = Template::new(folder, scale.trips, Shape::Dense).await?;
    let Told { batches, commits, statements, .. } = child::statements(&template.copy()?, scale.trips).await?;
    println!(
        "Counted over {} batches of 1,000. Statements by the events that sqlx sends for them, those of a batch by the span \
         that the engine works on it in. For BEGIN and COMMIT it sends none: each batch has one transaction, and the \
         write-ahead log shows {} commits in the whole run, those of planning and of the worker's lease among them. \
         Target: five in a batch beside the user's own.\n",
        grouped(batches),
        grouped(commits)
    );
    let mut table = Table::new(["per batch", "takes", "statement"]);
    let mut ours = 2.0;
    let mut once = 0.0;
    table.row([&"1.00", &"", &"BEGIN IMMEDIATE"]);
    for (statement, figures) in statements.iter().filter(|(statement, _)| statement.in_batch) {
        let count = per(figures.count, batches);
        if statement.is_users() {
            continue;
        }
        ours += count;
        if count < 0.5 {
            once += count;
            continue;
        }
        table.row([&format!("{count:.2}"), &mean(figures), &shortened(&statement.sql)]);
    }
    table.row([&format!("{once:.2}"), &"", &"what the first batch looks up: run, table, key"]);
    table.row([&"1.00", &"", &"COMMIT"]);
    table.row([&format!("{ours:.2}"), &"", &"**all of the engine's**"]);
    for (statement, figures) in statements.iter().filter(|(statement, _)| statement.is_users()) {
        table.row([
            &format!("{:.2}", per(figures.count, batches)),
            &mean(figures),
            &format!("the user's: {}", shortened(&statement.sql)),
        ]);
    }
    let beside: u64 = statements.iter().filter(|(statement, _)| !statement.in_batch).map(|(_, f)| f.count).sum();
    table.row([
        &format!("{:.2}", per(beside, batches)),
        &"",
        &"beside, on other connections: planning, waiting, the lease",
    ]);
    print!("{table}");
    Ok(())
}

fn mean(figures: &Figures) -> String {
    millis(figures.total.div_f64(rate(figures.count.max(1), Duration::from_secs(1))))
}

fn per(count: u64, batches: u64) -> f64 {
    rate(count, Duration::from_secs(batches.max(1)))
}

fn shortened(sql: &str) -> String {
    const MOST: usize = 90;
    match sql.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{} …`", &sql[..end]),
        None => format!("`{sql}`"),
    }
}

async fn idle(folder: &Folder) -> Result<()> {
    let template = Template::new(folder, 1, Shape::Dense).await?;
    let asked = child::idle(&template.copy()?).await?;
    println!(
        "A worker process with settings as they come, in a file without a run: {asked} statements a minute, counted by the events that \
         sqlx sends for them. `BEGIN` and `COMMIT` are not told; of all these only the lease's six renewals write."
    );
    Ok(())
}

async fn pages(folder: &Folder, scale: &Scale) -> Result<()> {
    let Amount { runs, batches, great } = scale.pages;
    println!(
        "{} runs, {} batches in all, {} of them of one run that is being worked on, 10,000 lines said in it. The server's \
         time from the request to the last byte, without a network; the first request apart, as it finds nothing in \
         memory.\n",
        grouped(runs),
        grouped(batches),
        grouped(great)
    );
    let template = Template::new(folder, 10_000, Shape::Dense).await?;
    let pool = open(&template.copy()?).await?;
    let builder = DataDrip::builder(pool.clone()).with::<AddRole<Sqlite>>().with::<AddEmail<Sqlite>>();
    let drip = builder.build().await?;
    dashboard::report(&drip, &pool, scale.pages).await?;
    pool.close().await;
    dashboard::on_servers(scale.pages).await
}
