//! A PostgreSQL server of this program's own, from the binaries that are installed, in a temporary folder. It listens there
//! and nowhere else, and is gone with the program.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::weather;

/// Part of the socket's name.
pub(crate) const PORT: u16 = 5432;

/// How long it may take to start, and to stop.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Server {
    folder: TempDir,
    process: Child,
}

impl Server {
    /// Makes a new one and waits until it answers.
    ///
    /// # Errors
    /// When no PostgreSQL is installed, or it does not start.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let binaries = binaries().context(
            "no PostgreSQL server is installed: this program starts one of its own (Debian: apt-get install postgresql)",
        )?;
        let folder = tempfile::Builder::new().prefix("data_drip-fleet").tempdir()?;
        let user = User::of_server().await?;
        user.owns(folder.path())?;
        let data = folder.path().join("data");
        let mut initdb = user.command(&binaries.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        let made = initdb.output().await?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut postgres = user.command(&binaries.join("postgres"));
        postgres.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "", "-p", &PORT.to_string()]);
        // A group of its own: Ctrl-C is for this program, which ends the workers before the server.
        postgres.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut server = Self { process: postgres.spawn()?, folder };
        server.answers().await?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        let pool = weather::pool(self.folder());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = sqlx::query("SELECT 1").execute(&pool).await {
            if self.process.try_wait()?.is_some() || tokio::time::Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
                bail!("the server does not answer ({error}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        pool.close().await;
        Ok(())
    }

    /// Ends it, and removes what it has written.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.process.id() {
            // Its fast mode: whoever is still connected is sent away.
            Command::new("kill").args(["-INT", &pid.to_string()]).status().await?;
        }
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await.context("the server does not end")??;
        ensure!(ended.success() || ended.signal().is_some(), "the server ended with {ended}");
        self.folder.close().context("could not remove the server's files")
    }
}

/// The folder of the newest server that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .max_by_key(|(version, _)| *version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = newest.map(|(_, folder)| folder).into_iter().chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// Whom the server runs as: it refuses to be root's.
struct User(Option<(u32, u32)>);

impl User {
    async fn of_server() -> anyhow::Result<Self> {
        if id("-u", None).await? != 0 {
            return Ok(Self(None));
        }
        Ok(Self(Some((id("-u", Some("nobody")).await?, id("-g", Some("nobody")).await?))))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self(Some((user, group))) = self {
            // Not where root is: the server would not be let in.
            command.uid(*user).gid(*group).current_dir("/");
        }
        command
    }

    fn owns(&self, folder: &Path) -> anyhow::Result<()> {
        if let Self(Some((user, group))) = self {
            std::os::unix::fs::chown(folder, Some(*user), Some(*group))?;
        }
        // The socket is in there: nobody else's business.
        Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?)
    }
}

/// The number of a user or of its group; of whoever runs this program without a name.
async fn id(what: &str, of: Option<&str>) -> anyhow::Result<u32> {
    let output = Command::new("id").arg(what).args(of).output().await?;
    String::from_utf8_lossy(&output.stdout).trim().parse().with_context(|| format!("`id {what}` says no number"))
}
