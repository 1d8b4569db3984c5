//! Places in a backfill at which a test can hold one process, by files in the test's folder.
//!
//! A file is what both sides can see whatever state the process is in. A process that nobody holds passes at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::patience::LOOK;

/// A place to be held at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the process opens the database.
    Start,
    /// Its worker is started.
    Started,
    /// In `scope()`. The first call in a process that has nothing to plan comes after its first claim is committed and
    /// before the batch's transaction begins: that is when the engine compares the code with what was planned. In a
    /// process with a run to plan it comes when that has the planner's role and nothing is planned.
    Scope,
    /// In the batch's transaction, when everything is written.
    Written,
    /// After user code has rolled the batch's transaction back by hand.
    RolledBack,
    /// Where a process dies, once a test has doomed it.
    Doom,
    /// The process was asked to end.
    Asked,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Started => "started",
            Self::Scope => "scope",
            Self::Written => "written",
            Self::RolledBack => "rolled-back",
            Self::Doom => "doom",
            Self::Asked => "asked",
        })
    }
}

struct Here {
    folder: PathBuf,
    process: String,
}

static HERE: OnceLock<Here> = OnceLock::new();

#[cfg(unix)]
pub(crate) fn set(folder: PathBuf, process: String) {
    assert!(HERE.set(Here { folder, process }).is_ok(), "a process has one name");
}

/// The name of this process in the ledger.
pub fn process() -> &'static str {
    HERE.get().map_or("test", |here| &here.process)
}

pub(crate) fn held(folder: &Path, process: &str, moment: Moment) -> PathBuf {
    folder.join(format!("{process}.{moment}.held"))
}

pub(crate) fn doomed(folder: &Path) -> PathBuf {
    folder.join("doomed")
}

/// Aborts this process, if a test has doomed it; never the test's own.
///
/// # Panics
/// When the folder is gone.
pub fn die_if_doomed() {
    if HERE.get().is_some_and(|here| doomed(&here.folder).exists()) {
        tell(Moment::Doom);
        std::process::abort();
    }
}

pub(crate) fn reached(folder: &Path, process: &str, moment: Moment) -> PathBuf {
    folder.join(format!("{process}.{moment}.reached"))
}

/// Whether this process is to be held there; then that it is there shows.
fn stays(moment: Moment) -> bool {
    let Some(Here { folder, process }) = HERE.get() else { return false };
    let stays = held(folder, process, moment).exists();
    if stays {
        tell(moment);
    }
    stays
}

/// Shows that this process is there.
///
/// # Panics
/// When the folder is gone.
pub fn tell(moment: Moment) {
    if let Some(Here { folder, process }) = HERE.get() {
        std::fs::write(reached(folder, process, moment), "").expect("the folder is there");
    }
}

/// Passes, once nobody holds this process there.
pub async fn pass(moment: Moment) {
    while stays(moment) {
        tokio::time::sleep(LOOK).await;
    }
}

/// [`pass`] for places that cannot await.
pub fn pass_blocking(moment: Moment) {
    while stays(moment) {
        std::thread::sleep(LOOK);
    }
}
