//! A server of a test's own, which it may stop, kill and start again. Every commit is synced, as by default.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::database::server;

/// Neither server runs as root.
const NOBODY: u32 = 65_534;

pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// `None`, loudly, where no server is installed.
    pub async fn start() -> Option<Self> {
        if !server::is_installed() {
            super::say(&format!("SKIPPED: restarts of a server ({} is not installed)", server::NAME));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("data_drip-server-").tempdir().unwrap();
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, process: None };
        let prepared = server.unprivileged(server::prepare(&server.data())).status().unwrap();
        assert!(prepared.success(), "the server's files could not be made: {}", server.log());
        server.up().await;
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn unprivileged(&self, mut command: Command) -> Command {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).current_dir(self.folder.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts it, and waits until it answers.
    pub async fn up(&mut self) {
        let mut process = self.unprivileged(server::command(&self.data(), self.port)).spawn().unwrap();
        herd::eventually("the server answers", async || {
            assert!(process.try_wait().unwrap().is_none(), "the server did not start: {}", self.log());
            server::answers(&self.url()).await
        })
        .await;
        self.process = Some(process);
    }

    /// Ends it with a signal, and waits until it is gone.
    pub async fn down(&mut self, signal: &str) {
        let mut process = self.process.take().expect("it is up");
        send(signal, &process);
        herd::eventually("the server is gone", async || process.try_wait().unwrap().is_some()).await;
    }

    pub fn url(&self) -> String {
        server::url(self.port)
    }
}

fn send(signal: &str, process: &Child) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status();
    assert!(sent.unwrap().success(), "the server is there");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Its files go as well: there is nothing to be saved.
            send(server::ABRUPT, &process);
            let _ = process.wait();
        }
    }
}
