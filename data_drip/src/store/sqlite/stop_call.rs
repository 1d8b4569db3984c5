//! Calling other processes to roll a batch back, beside the database.
//!
//! A batch in flight holds SQLite's only write lock, so a stop of another process could not tell it anything through
//! the database before the batch has ended by itself. An empty file next to the database says it instead, for as long
//! as the stop waits; workers look for it once a second and before each batch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Pool, Sqlite};

use crate::run::RunId;

/// A file older than this was left behind by a process that died while it waited.
const STALE: Duration = Duration::from_mins(1);

/// Lives as long as the stop waits.
pub(super) struct StopCall(PathBuf);

/// The calls of this process: the last who calls for a run takes the file away.
static CALLS: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());

impl Drop for StopCall {
    fn drop(&mut self) {
        let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(callers) = calls.get_mut(&self.0) else { return };
        *callers -= 1;
        if *callers == 0 {
            calls.remove(&self.0);
            let _ = fs::remove_file(&self.0);
        }
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
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    match fs::write(&path, []) {
        Ok(()) => {
            *calls.entry(path.clone()).or_default() += 1;
            Some(StopCall(path))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::testing::File;

    #[tokio::test]
    async fn a_call_is_heard_until_the_last_who_calls_is_done() {
        let (file, _conn) = File::with("").await;
        let pool = Pool::<Sqlite>::connect_with(file.options()).await.unwrap();
        let (first, second) = (call(&pool, RunId(1)), call(&pool, RunId(1)));
        assert!(is_called(&pool, RunId(1)) && !is_called(&pool, RunId(2)));
        drop(first);
        assert!(is_called(&pool, RunId(1)));
        drop(second);
        assert!(!is_called(&pool, RunId(1)));
    }
}
