//! A folder of a test's own, in which it meets its processes; kept when the test fails.

use std::path::{Path, PathBuf};

use crate::moments::{self, Moment};
use crate::patience::eventually;

/// Where the moments are, and the logs.
pub struct Folder(PathBuf);

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("data_drip-herd-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).expect("a folder for temporary files");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// From now on, holds a process at a moment.
    ///
    /// # Panics
    /// When the folder is gone.
    pub fn hold(&self, process: &str, moment: Moment) {
        std::fs::write(moments::held(&self.0, process, moment), "").expect("the folder is there");
    }

    /// Lets the process pass.
    ///
    /// # Panics
    /// When it was not held.
    pub fn release(&self, process: &str, moment: Moment) {
        std::fs::remove_file(moments::held(&self.0, process, moment)).expect("it was held");
    }

    /// From now on, every process dies where it asks for it.
    ///
    /// # Panics
    /// When the folder is gone.
    pub fn doom(&self) {
        std::fs::write(moments::doomed(&self.0), "").expect("the folder is there");
    }

    /// Lets them live.
    ///
    /// # Panics
    /// When they were not doomed.
    pub fn redeem(&self) {
        std::fs::remove_file(moments::doomed(&self.0)).expect("it was doomed");
    }

    /// Waits until the process is there.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn reached(&self, process: &str, moment: Moment) {
        let reached = moments::reached(&self.0, process, moment);
        eventually(&format!("{process} comes to {moment}"), async || reached.exists()).await;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.0.display());
        } else {
            // What cannot be removed is temporary all the same.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
