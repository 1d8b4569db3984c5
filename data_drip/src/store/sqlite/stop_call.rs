//! Calling other processes to roll a batch back, beside the database.
//!
//! A batch in flight holds SQLite's only write lock, so a stop of another process could not tell it anything through
//! the database before the batch has ended by itself. An empty file next to the database says it instead, for as long
//! as the stop waits; workers look for it once a second and before each batch.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Pool, Sqlite};

use crate::run::RunId;

/// A file older than this was left behind by a process that died while it waited.
const STALE: Duration = Duration::from_mins(1);

/// Lives as long as the stop waits.
pub(super) struct StopCall(PathBuf);

impl Drop for StopCall {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn path(file: &Path, run: RunId) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!("-data_drip-stop-{run}"));
    name.into()
}

pub(super) fn call(pool: &Pool<Sqlite>, run: RunId) -> Option<StopCall> {
    let options = pool.connect_options();
    let file = options.get_filename();
    // Databases in memory have names as well, but no file.
    if !fs::exists(file).unwrap_or(false) {
        return None;
    }
    let path = path(file, run);
    match fs::write(&path, []) {
        Ok(()) => Some(StopCall(path)),
        Err(error) => {
            tracing::debug!(%error, "other processes cannot be called: a batch in flight there ends by itself");
            None
        }
    }
}

pub(super) fn is_called(pool: &Pool<Sqlite>, run: RunId) -> bool {
    let call = path(pool.connect_options().get_filename(), run);
    let Some(written) = fs::metadata(call).ok().and_then(|call| call.modified().ok()) else { return false };
    // A time in the future is a clock that jumped back: rather roll back once too often.
    written.elapsed().map_or(true, |age| age < STALE)
}
