//! Every key, every kind of option, every argument, every hook.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use data_drip::run::RunBatch;
use data_drip::sqlite::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, OptionEnum)]
pub enum Ambiguous {
    /// Refuse such rows.
    Reject,
    #[option(label = "The earlier moment", rename = "first")]
    Earlier,
    Later,
}

pub struct Mailer;
pub struct Config(pub u8);

const LEAST: u32 = 3;
const TEAM: &str = "core";

async fn departments(conn: &mut Connection) -> sqlx::Result<Vec<String>> {
    let _ = conn;
    Ok(vec![])
}

/// Does everything.
///
/// And says so.
#[backfill(
    name = "everything",
    batch_size = 1_000,
    sleep = "500ms",
    timeout = "5m",
    queue = "slow",
    concurrency = 4,
    max_attempts = 3,
    lock = none,
    crate = ::data_drip
)]
#[derive(Clone, Debug)]
#[allow(dead_code)]
pub struct Everything {
    /// Only these people.
    #[option(choices = departments)]
    pub department: String,
    #[option(default = TEAM, label = "The team")]
    team: String,
    #[option(default = "a")]
    nickname: Option<String>,
    #[option(min = 1, max = 100, default = -(-5))]
    pub(crate) tiny: i8,
    #[option(default = LEAST, min = LEAST)]
    least: u32,
    most: Option<u64>,
    size: usize,
    #[option(default = 5, max = 7.5)]
    ratio: f64,
    single: Option<f32>,
    #[option(default = true)]
    active: bool,
    maybe: Option<bool>,
    day: NaiveDate,
    #[option(default = NaiveTime::MIN)]
    hour: NaiveTime,
    local: Option<NaiveDateTime>,
    #[option(default = Utc::now())]
    moment: DateTime<Utc>,
    #[option(default = Ambiguous::Later)]
    ambiguous: Ambiguous,
    #[option(default = vec![Ambiguous::Reject])]
    any: Vec<Ambiguous>,
    some: Option<Vec<Ambiguous>>,
    #[option(masked)]
    token: String,
    r#type: Option<i64>,
    /// Names that generated code could use too.
    input: Option<i64>,
    value: Option<i64>,
    option_0: Option<i64>,
}

#[backfill(crate = ::data_drip)]
impl Everything {
    const TABLE: &'static str = "people";

    fn scope(&self) -> Scope {
        Scope::table(Self::TABLE)
    }

    async fn process_element(
        &self,
        (id,): (i64,),
        conn: &mut Connection,
        config: State<Config>,
        run: &Run,
        mailer: State<Mailer>,
    ) -> Result<(), sqlx::Error> {
        let _ = (config.0, run.id, mailer);
        sqlx::query("UPDATE people SET seen = ? WHERE id = ?").bind(self.helper()).bind(id).execute(conn).await?;
        Ok(())
    }

    fn helper(&self) -> i64 {
        self.r#type.unwrap_or(1)
    }

    async fn before_run(&self, run: &Run, conn: &mut Connection, mailer: State<Mailer>) -> data_drip::Result {
        let _ = (run, conn, mailer);
        Ok(())
    }

    async fn on_run_pending(&self, _: &Run) {}
    async fn on_run_enqueued(&self, _: &Run) {}
    async fn on_run_running(&self, _: &Run, _: State<Config>) {}
    async fn on_run_paused(&self, _: &Run) {}
    async fn on_run_completed(&self, _: &Run) -> Result<(), std::fmt::Error> {
        Ok(())
    }
    async fn on_run_failed(&self, _: &Run) {}
    async fn on_run_stopped(&self, _: &Run) {}
    async fn on_batch_pending(&self, _: &Run, _: &RunBatch) {}
    async fn on_batch_running(&self, _: &Run, _: &RunBatch) {}
    async fn on_batch_completed(&self, _: &Run, _: &RunBatch) {}
    async fn on_batch_failed(&self, _: &Run, _: &RunBatch, _: State<Mailer>) -> data_drip::Result {
        Err("nobody told me".into())
    }
    async fn on_batch_stopped(&self, _: &Run, _: &RunBatch) {}
}

fn main() {}
