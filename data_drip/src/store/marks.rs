//! Whether anything has changed, asked in one statement for all pages that somebody watches.

use std::collections::HashMap;

use crate::backend::{Backend, Statement};
use crate::run::RunId;
use crate::store::{Columns, json_list};

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Marked {
    /// Which runs there are, and where they stand.
    Runs,
    /// Who works, and who plans.
    Workers,
    /// One run, its batches, its events and its log.
    Run(RunId),
}

impl Marked {
    pub(crate) fn run(self) -> Option<RunId> {
        match self {
            Self::Run(id) => Some(id),
            Self::Runs | Self::Workers => None,
        }
    }

    fn of_number(number: i64) -> Self {
        match number {
            0 => Self::Runs,
            -1 => Self::Workers,
            id => Self::Run(RunId(id)),
        }
    }
}

/// The marks of one moment. What has changed has another one; what has another one may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(HashMap<Marked, Option<String>>);

impl Marks {
    /// `None` for what was not asked for; `Some(&None)` for a run that is not there.
    pub(crate) fn of(&self, marked: Marked) -> Option<&Option<String>> {
        self.0.get(&marked)
    }

    #[cfg(test)]
    pub(crate) fn made_up(marks: impl IntoIterator<Item = (Marked, Option<String>)>) -> Self {
        Self(marks.into_iter().collect())
    }
}

/// The marks of all runs together, of the workers, and of each of these runs.
pub(crate) async fn marks<DB: Backend>(conn: &mut DB::Connection, runs: &[RunId]) -> sqlx::Result<Marks> {
    let mut marks: HashMap<_, _> = runs.iter().map(|&id| (Marked::Run(id), None)).collect();
    for row in DB::fetch(conn, Statement::of(DB::SQL.select_marks).bind(json_list(runs))).await? {
        let mut c = Columns::<DB>::of(&row);
        marks.insert(Marked::of_number(c.int()?), Some(c.text()?));
    }
    Ok(Marks(marks))
}
