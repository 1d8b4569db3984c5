//! An engine without a database: one run in every status, one backfill with every kind of option.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::{
    BackfillSummary, BatchDuration, Defaults, FailureGroup, Failures, Preview, PreviewStatement, RowCount, Sample,
    Slice, Throughput,
};
use crate::backend::Explanation;
use crate::backfill::Mode;
use crate::dashboard::engine::{Answer, BatchFilter, Engine, From, LogFilter, NewRun, RunFilter, Verb};
use crate::error::{Error, ErrorKind, FieldError};
use crate::key::{Key, KeyPart, KeyRange};
use crate::logs::{LogId, LogLevel, LogLine, LogTotals};
use crate::options::{Choice, Field, Kind, Settings};
use crate::registry::BackfillInfo;
use crate::run::{Backfiller, BatchId, Counts, Run, RunBatch, RunId, Total, WorkerClaim, WorkerInfo, WorkerPlan};
use crate::status::{BatchStatus, RunStatus};
use crate::store::marks::{Marked, Marks};
use crate::store::runs::{RunEvent, StatusCounts};

pub(super) const HOSTILE: &str = "<script>alert('1')</script>\"'&amp;{{ 7777 * 7 }}\u{202e}\0é";

/// What a test wants of the engine, and what it was asked to do.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "a switch per state of the world")]
pub(super) struct Fake {
    /// No backfill is linked.
    pub(super) empty: bool,
    /// Lists have a few items only.
    pub(super) few: bool,
    /// A preview shows no rows: not in time, or switched off.
    pub(super) no_samples: bool,
    /// No code has said anything.
    pub(super) silent: bool,
    /// The database does not answer.
    pub(super) down: AtomicBool,
    /// How creating a run is refused.
    pub(super) refuse: Option<fn() -> Error>,
    pub(super) created: Mutex<Vec<NewRun>>,
    pub(super) acted: Mutex<Vec<(Verb, RunId, Backfiller)>>,
    pub(super) infos: Vec<BackfillInfo>,
    pub(super) closing: CancellationToken,
    /// Times that a run was asked for; each takes a permit, when there is somebody who gives them.
    pub(super) looks: AtomicU64,
    pub(super) permits: Option<Semaphore>,
    /// Times that it was asked what has changed.
    pub(super) pulses: AtomicU64,
    /// Elements processed by every run that runs, besides what it has.
    pub(super) more: AtomicU64,
    pub(super) deleted: AtomicBool,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self { infos: vec![every_kind(), plain()], ..Self::default() }
    }

    fn most(&self, all: u32, few: usize) -> usize {
        if self.few { few } else { all as usize }
    }

    fn answer<T: Send + 'static>(&self, answer: Result<T, Error>) -> Answer<'_, T> {
        let answer = if self.down.load(Ordering::Relaxed) { Err(sqlx::Error::PoolTimedOut.into()) } else { answer };
        Box::pin(std::future::ready(answer))
    }
}

impl Engine for Fake {
    fn defaults(&self, _: &BackfillInfo) -> Defaults {
        Defaults { batch_size: 1_000, sleep: Duration::from_millis(250) }
    }

    fn backfills(&self) -> Vec<&BackfillInfo> {
        if self.empty { Vec::new() } else { self.infos.iter().collect() }
    }

    fn backfill(&self, name: &str) -> Option<&BackfillInfo> {
        self.backfills().into_iter().find(|info| info.name == name)
    }

    fn table(&self, backfill: &str) -> Option<String> {
        (backfill == "recount_orders").then(|| "orders".to_owned())
    }

    fn summaries(&self) -> Answer<'_, Vec<BackfillSummary>> {
        let summary = |name: &str, id: i64, table: Option<&str>| BackfillSummary {
            backfill: name.to_owned(),
            runs: 1_234,
            last: RunId(id),
            status: run(id).status,
            created_at: now(),
            finished_at: run(id).finished_at,
            table: table.map(str::to_owned),
        };
        self.answer(Ok(vec![
            summary(HOSTILE, 9, Some(HOSTILE)),
            summary("add_role_to_employee", 39, Some("employees")),
            summary("recount_orders", 40, None),
        ]))
    }

    fn recent<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<String>> {
        self.answer(Ok(vec!["recount_orders".to_owned(), "gone_since".to_owned()]))
    }

    fn people(&self) -> Answer<'_, Vec<Backfiller>> {
        self.answer(Ok(vec![who(), Backfiller::new(1, "Grace")]))
    }

    fn names_without_code(&self) -> Answer<'_, Vec<String>> {
        self.answer(Ok(vec![HOSTILE.to_owned()]))
    }

    fn status_counts(&self) -> Answer<'_, StatusCounts> {
        let counts =
            StatusCounts { pending: 2, enqueued: 1, running: 3, paused: 4, completed: 1_290, failed: 12, stopped: 5 };
        self.answer(Ok(counts))
    }

    fn choices<'a>(&'a self, _: &'a str, field: &'a str) -> Answer<'a, Option<Vec<Choice>>> {
        self.answer(match field {
            "department" => {
                Ok(Some(vec![Choice::from("Sales"), Choice::from(HOSTILE.replace(['\0', '\u{202e}'], ""))]))
            }
            _ => Ok(None),
        })
    }

    fn runs(&self, filter: RunFilter) -> Answer<'_, Vec<Run>> {
        let before = filter.before.map_or(i64::MAX, |id| id.0);
        let runs = (1..=40).rev().map(run).filter(|run| {
            run.id.0 < before
                && filter.status.is_none_or(|status| status == run.status)
                && filter.backfill.as_ref().is_none_or(|name| *name == run.backfill)
                && filter.among.as_ref().is_none_or(|names| names.contains(&run.backfill))
                && filter.person.as_ref().is_none_or(|id| run.backfiller.as_ref().is_some_and(|who| who.id == *id))
        });
        self.answer(Ok(runs.take(self.most(filter.limit, 9)).collect()))
    }

    fn run(&self, id: RunId) -> Answer<'_, Run> {
        Box::pin(async move {
            if let Some(permits) = &self.permits {
                permits.acquire().await.expect("it is never closed").forget();
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
            let mut found = match id.0 {
                _ if self.deleted.load(Ordering::Relaxed) => Err(missing(id)),
                1..=40 => Ok(run(id.0)),
                _ => Err(missing(id)),
            };
            if let Ok(run) = &mut found {
                run.counts.processed += self.more.load(Ordering::Relaxed);
            }
            self.answer(found).await
        })
    }

    fn batches(&self, id: RunId, filter: BatchFilter) -> Answer<'_, Vec<RunBatch>> {
        let mut all: Vec<_> = (1..=120).map(|position| batch(id, position)).collect();
        if let From::Before(_) = filter.from {
            all.reverse();
        }
        let batches = all.into_iter().filter(|batch| {
            let there = match filter.from {
                From::After(position) => batch.position > position,
                From::Before(position) => batch.position < position,
            };
            there && filter.status.is_none_or(|status| status == batch.status)
        });
        self.answer(Ok(batches.take(self.most(filter.limit, 4)).collect()))
    }

    fn throughput<'a>(&'a self, run: &'a Run) -> Answer<'a, Option<Throughput>> {
        let busy = (0..self.most(30, 3) as u64)
            .map(|index| Slice { index, processed: 10_000 + index * 500, batches: 11 })
            .collect();
        self.answer(Ok(run.started_at.map(|_| Throughput { width: Duration::from_secs(10), slices: 49, busy })))
    }

    fn durations(&self, _: RunId) -> Answer<'_, Vec<BatchDuration>> {
        let batch = |position| BatchDuration { position, took: Duration::from_millis(700 + position), processed: 997 };
        self.answer(Ok((1..=100).rev().map(batch).take(self.most(100, 3)).collect()))
    }

    fn failures(&self, _: RunId) -> Answer<'_, Failures> {
        let group = |message: &str, batches, first| FailureGroup { message: message.to_owned(), batches, first };
        self.answer(Ok(Failures {
            groups: vec![group("row 1017: the local time 2013-11-03 01:00 is ambiguous", 5, 1), group(HOSTILE, 1, 6)],
            complete: true,
        }))
    }

    fn marks(&self, runs: Vec<RunId>) -> Answer<'_, Marks> {
        self.pulses.fetch_add(1, Ordering::Relaxed);
        let deleted = self.deleted.load(Ordering::Relaxed);
        let mark = |id: RunId| (!deleted && id.0 <= 40).then(|| self.more.load(Ordering::Relaxed).to_string());
        let whole = [Marked::Runs, Marked::Workers].map(|marked| (marked, Some(deleted.to_string())));
        self.answer(Ok(Marks::made_up(runs.into_iter().map(|id| (Marked::Run(id), mark(id))).chain(whole))))
    }

    fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    fn events(&self, _: RunId) -> Answer<'_, Vec<RunEvent>> {
        let event = |action: &str, detail: Option<&str>| RunEvent {
            at: now(),
            action: action.to_owned(),
            backfiller: Some(who()),
            detail: detail.map(str::to_owned),
        };
        self.answer(Ok(vec![event("enqueued", None), event("retried failed batches", Some(HOSTILE))]))
    }

    fn logs(&self, id: RunId, filter: LogFilter) -> Answer<'_, Vec<LogLine>> {
        let line = |position: u64| LogLine {
            id: LogId(i64::try_from(position).unwrap()),
            run_id: id,
            batch_id: BatchId(1),
            position,
            claim: 1,
            at: now(),
            level: LogLevel::Warn,
            target: "my_backfills::employees".to_owned(),
            message: HOSTILE.to_owned(),
            fields: [(HOSTILE.to_owned(), json!(HOSTILE))].into_iter().collect(),
            dropped: 0,
        };
        self.answer(Ok((1..=5).map(line).take(filter.limit as usize).collect()))
    }

    fn log_totals(&self, _: RunId) -> Answer<'_, LogTotals> {
        let (kept, dropped) = if self.silent { (0, 0) } else { (5, 7) };
        self.answer(Ok(LogTotals { kept, dropped }))
    }

    fn workers(&self) -> Answer<'_, Vec<WorkerInfo>> {
        let worker = |alive: bool| WorkerInfo {
            id: format!("0199-{alive}"),
            host: HOSTILE.to_owned(),
            pid: 4_242,
            version: "0.1.0".to_owned(),
            slots: 4,
            queues: vec![HOSTILE.to_owned()],
            started_at: now() - TimeDelta::hours(3),
            beat_at: now() - TimeDelta::seconds(if alive { 4 } else { 4_000 }),
            expires_at: now() - TimeDelta::seconds(if alive { -26 } else { 3_970 }),
            read_at: now(),
            alive,
            claims: vec![WorkerClaim {
                run_id: RunId(3),
                backfill: HOSTILE.to_owned(),
                batch_id: BatchId(103),
                position: 103,
                since: now() - TimeDelta::seconds(9),
            }],
            plans: vec![WorkerPlan { run_id: RunId(3), backfill: HOSTILE.to_owned() }],
        };
        self.answer(Ok(vec![worker(true), worker(false)]))
    }

    fn check_options(&self, _: &NewRun) -> Vec<FieldError> {
        self.refuse.map_or_else(Vec::new, |refuse| refuse().fields().to_vec())
    }

    fn preview(&self, new: NewRun) -> Answer<'_, Preview> {
        let statement = |full_scan| PreviewStatement {
            sql: format!("SELECT * FROM orders WHERE note = '{HOSTILE}'"),
            plan: Some(Explanation {
                full_scan,
                words: vec!["Reads the table orders".to_owned()],
                ..Default::default()
            }),
        };
        self.answer(Ok(Preview {
            backfill: "recount_orders".to_owned(),
            table: "hr.orders".to_owned(),
            key: vec!["tenant".to_owned(), "id".to_owned()],
            rows: RowCount { counted: 400_000, exact: false, estimate: Some(1_200_000) },
            to_process: RowCount { counted: 400_000, exact: false, estimate: Some(1_200_000) },
            batches: 12_000,
            batch_size: 100,
            limit: new.limit,
            first_key: Some("1".to_owned()),
            last_key: None,
            sample: if self.no_samples { Sample::default() } else { sample() },
            scope: statement(true),
            batch: statement(false),
            active_run: Some(RunId(3)),
        }))
    }

    fn create<'a>(&'a self, new: NewRun, _: &'a Backfiller) -> Answer<'a, Run> {
        if let Some(refuse) = self.refuse {
            return self.answer(Err(refuse()));
        }
        self.created.lock().unwrap().push(new);
        self.answer(Ok(run(7)))
    }

    fn act<'a>(&'a self, verb: Verb, id: RunId, by: &'a Backfiller) -> Answer<'a, Run> {
        if run(id.0).status == RunStatus::Completed && verb != Verb::Delete {
            let message = format!("run {id} is completed: there is nothing to stop");
            return self.answer(Err(Error::new(ErrorKind::Conflict, message)));
        }
        self.acted.lock().unwrap().push((verb, id, by.clone()));
        self.answer(Ok(run(id.0)))
    }
}

fn sample() -> Sample {
    Sample {
        columns: vec!["id".to_owned(), "note".to_owned()],
        columns_left_out: 3,
        rows: vec![vec![Some("1".to_owned()), Some(HOSTILE.to_owned())], vec![Some("2".to_owned()), None]],
        looked: true,
    }
}

fn missing(id: RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no run {id}"))
}

pub(super) fn refused_fields() -> Error {
    Error::invalid(vec![
        FieldError::new("age", format!("must be a whole number, not `{HOSTILE}`")),
        FieldError::new("token", "`hunter2` is no token"),
        FieldError::new("nonsense", "is unknown"),
    ])
}

fn now() -> DateTime<Utc> {
    "2026-01-31T12:30:05.125Z".parse().unwrap()
}

fn who() -> Backfiller {
    Backfiller::new("7<", format!("Ada {HOSTILE}"))
}

fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        label: name.to_owned(),
        help: "",
        kind,
        required: false,
        default: None,
        min: None,
        max: None,
        has_choices: false,
        masked: false,
    }
}

fn info(name: &'static str, description: &'static str, mode: Mode, fields: Vec<Field>) -> BackfillInfo {
    BackfillInfo {
        name,
        description,
        type_name: "my_backfills::employees::AddRoleToEmployee",
        module: "my_backfills::employees",
        database: "SQLite",
        mode,
        settings: Settings::DEFAULT,
        fields,
        hooks: &[],
        states: Vec::new(),
    }
}

fn plain() -> BackfillInfo {
    info("recount_orders", "Counts the orders of each customer anew.", Mode::Element, Vec::new())
}

fn every_kind() -> BackfillInfo {
    let with = |name, kind, change: fn(&mut Field)| {
        let mut field = field(name, kind);
        change(&mut field);
        field
    };
    let list = || vec![Choice::from("reject"), Choice::from("earlier"), Choice::from("later")];
    let fields = vec![
        with("department", Kind::Text, |f| {
            f.required = true;
            f.has_choices = true;
            f.help = "Only employees of this department.";
        }),
        with("note", Kind::Text, |f| {
            f.label = "Note <b>".to_owned();
            f.help = "Help with <i>markup</i> & \"quotes\".";
        }),
        with("age", Kind::Integer, |f| {
            f.min = Some(json!(18));
            f.max = Some(json!(99));
        }),
        with("ratio", Kind::Float, |f| f.default = Some(json!(0.5))),
        with("price", Kind::Decimal, |_| ()),
        with("active_only", Kind::Boolean, |f| f.default = Some(json!(true))),
        with("remote", Kind::Boolean, |_| ()),
        with("day", Kind::Date, |_| ()),
        with("hour", Kind::Time, |_| ()),
        with("local_time", Kind::NaiveDateTime, |_| ()),
        with("moment", Kind::DateTime, |f| f.default = Some(json!("2026-01-31T12:00:00Z"))),
        with("ambiguous", Kind::Select { choices: list() }, |f| f.default = Some(json!("reject"))),
        with("teams", Kind::MultiSelect { choices: list() }, |f| f.default = Some(json!(["later"]))),
        with("token", Kind::Text, |f| {
            f.required = true;
            f.masked = true;
            f.default = Some(json!("s3cret-default"));
        }),
    ];
    let description = "Gives every employee without a role the default one.\n\nRuns in seconds; safe to repeat.";
    info("add_role_to_employee", description, Mode::Batch, fields)
}

/// Run `id`; its status is the `id`-th of all, in turn.
pub(super) fn run(id: i64) -> Run {
    let status = RunStatus::ALL[usize::try_from(id - 1).unwrap() % RunStatus::ALL.len()];
    let begun = !matches!(status, RunStatus::Pending | RunStatus::Enqueued);
    let done = status == RunStatus::Completed;
    let failed = status == RunStatus::Failed;
    let options: Vec<(&str, Value)> = vec![
        ("department", json!(HOSTILE)),
        ("age", Value::Null),
        ("active_only", json!(true)),
        ("teams", json!(["later", "earlier"])),
        ("token", json!("s3cret-value")),
        ("removed_option", json!("s3cret-removed")),
    ];
    let processed = if done { 1_234_567 } else { 345_678 };
    Run {
        id: RunId(id),
        backfill: match id {
            9 => HOSTILE.to_owned(),
            id if id % 2 == 0 => "recount_orders".to_owned(),
            _ => "add_role_to_employee".to_owned(),
        },
        options: options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        batch_size: 1_000,
        sleep: Duration::from_millis(250),
        limit: (id == 3).then_some(2_000_000),
        queue: "default".to_owned(),
        timeout: None,
        concurrency: None,
        max_attempts: 1,
        status,
        backfiller: (id != 4).then(who),
        error: (id == 13).then(|| format!("planning failed: no such table\n{HOSTILE}")),
        start_at: (status == RunStatus::Pending).then(|| now() + TimeDelta::hours(6)),
        created_at: now() - TimeDelta::minutes(9),
        started_at: begun.then(|| now() - TimeDelta::minutes(8)),
        finished_at: status.is_settled().then(now),
        planned: done || failed,
        total: begun.then_some(Total { count: 1_234_567, exact: id != 3 }),
        counts: if begun {
            Counts {
                processed,
                batches: 1_235,
                pending: 20,
                running: u64::from(status == RunStatus::Running) * 4,
                completed: 346,
                failed: u64::from(failed) * 6,
                stopped: u64::from(status == RunStatus::Stopped) * 3,
            }
        } else {
            Counts::default()
        },
        throughput: (status == RunStatus::Running).then_some(2_345.6),
        read_at: now(),
    }
}

/// Batch `position` of a run; the sixth of a failed one has a long and hostile error, which every later one shares.
fn batch(run_id: RunId, position: u64) -> RunBatch {
    let key = |text: String| {
        Key(vec![KeyPart { tag: "integer".into(), text }, KeyPart { tag: "text".into(), text: "é".into() }])
    };
    let failed = run(run_id.0).status == RunStatus::Failed && position <= 6;
    let status = match position {
        _ if failed => BatchStatus::Failed,
        1..=100 => BatchStatus::Completed,
        101..=104 => BatchStatus::Running,
        _ => BatchStatus::Pending,
    };
    let error = || match position {
        6 => format!("{HOSTILE} {}", "long ".repeat(200_000)),
        4 => "row 4017: the local time 2013-11-03 01:00 is ambiguous\ncaused by: two offsets fit\n\
              caused by: the clock was set back\nat src/zones.rs:12:5"
            .to_owned(),
        _ => format!("row {position}017: the local time 2013-11-03 01:00 is ambiguous\ncaused by: two offsets fit"),
    };
    let begun = status != BatchStatus::Pending;
    RunBatch {
        id: BatchId(i64::try_from(position).unwrap()),
        run_id,
        position,
        range: KeyRange {
            after: (position > 1).then(|| key(((position - 1) * 1_000).to_string())),
            upto: key(if position == 5 { HOSTILE.to_owned() } else { (position * 1_000).to_string() }),
        },
        planned_size: 1_000,
        processed: (status == BatchStatus::Completed).then_some(997),
        status,
        attempts: u32::from(failed),
        losses: u32::from(position == 3),
        worker: begun.then(|| "host-1:4242:a1".to_owned()),
        error: failed.then(error),
        due_at: None,
        started_at: begun.then(|| now() - TimeDelta::milliseconds(840)),
        finished_at: (begun && status != BatchStatus::Running).then(now),
    }
}
