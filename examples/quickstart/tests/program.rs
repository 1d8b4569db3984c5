//! The program as a newcomer starts it, on a database of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.current_dir(folder).args(["--database", "weather.db"]).args(arguments);
    // With it, an error is printed with its backtrace.
    command.env_remove("RUST_BACKTRACE");
    command
}

/// What `--once` prints; it has to succeed.
fn once(folder: &Path) -> Result<String> {
    let output = program(folder, &["--once"]).output()?;
    let printed = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stderr)?, "");
    Ok(printed)
}

#[tokio::test]
async fn it_loads_once_computes_and_checks_and_a_wrong_row_is_an_error() -> Result<()> {
    let folder = TempDir::new()?;
    let first = once(folder.path())?;
    for expected in [
        "Loaded 26,115 observations in ",
        "Run 1: compute_utc_time, ambiguous hours: reject\n",
        "  failed: 50 of 53 batches done\n",
        " failed: row with key 7319: EWR, 2013-11-03 01:00 local (ids 7319, 7320): this hour came twice",
        "JFK, 2013-11-03 01:00 local (ids ",
        "LGA, 2013-11-03 01:00 local (ids ",
        "Run 2: compute_utc_time, ambiguous hours: earlier\n",
        "  completed: 3 of 3 batches done\n",
        "  equal      26,112\n",
        "  different       3\n",
        "row 7320: EWR, 2013-11-03 01:00 local, published as 2013-11-03 06:00 UTC, computed as 2013-11-03 05:00 UTC",
        "`earlier` is right for 3.\n",
    ] {
        assert!(first.contains(expected), "`{expected}` is not in:\n{first}");
    }

    let second = once(folder.path())?;
    assert!(second.contains("Its 26,115 observations were loaded before\n"), "{second}");
    assert!(second.contains("there is nothing to compute"), "{second}");
    assert!(second.contains("  equal      26,112\n"), "{second}");
    assert!(!second.contains("Run "), "{second}");

    let pool = quickstart::weather::open(&folder.path().join("weather.db")).await?;
    sqlx::query("UPDATE weather SET observed_at = '2013-01-01T00:00:00Z' WHERE id = 7").execute(&pool).await?;
    pool.close().await;

    let output = program(folder.path(), &["--once"]).output()?;
    let printed = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("Wrong: rows that cannot be mistaken and differ: 1."), "{printed}");
    assert_eq!(String::from_utf8(output.stderr)?, "Error: the check is not passed\n");
    Ok(())
}

#[test]
fn a_strange_argument_is_an_error_that_shows_the_usage() -> Result<()> {
    let output = program(Path::new("."), &["--twice"]).output()?;
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("unknown argument `--twice`") && error.contains("--once"), "{error}");
    Ok(())
}

/// Ended with the test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_the_dashboard_and_ends_gracefully_when_asked_to() -> Result<()> {
    let folder = TempDir::new()?;
    let mut server = Server(program(folder.path(), &["--port", "0"]).stdout(Stdio::piped()).spawn()?);
    let mut printed = BufReader::new(server.0.stdout.take().context("it has an output")?);
    let address = address(&mut printed)?;

    let index = fetch(&address, "/")?;
    assert!(index.starts_with("HTTP/1.1 200 OK"), "{index}");
    assert!(index.contains("<a href=\"/data_drip\">"), "{index}");
    let dashboard = fetch(&address, "/data_drip/backfills")?;
    for shown in ["HTTP/1.1 200 OK", "compute_utc_time", "convert_to_celsius"] {
        assert!(dashboard.contains(shown), "`{shown}` is not in:\n{dashboard}");
    }
    for path in ["/data_drip", "/data_drip/"] {
        assert!(fetch(&address, path)?.contains("\r\nlocation: /data_drip/backfill_runs\r\n"), "{path}");
    }
    let form = "backfill=convert_to_celsius&options[origin]=JFK&options[month]=2&options[again]=false";
    let started = post(&address, "/data_drip/backfill_runs", form)?;
    assert!(started.contains("\r\nlocation: /data_drip/backfill_runs/3\r\n"), "{started}");

    if cfg!(unix) {
        assert!(Command::new("kill").args(["-s", "TERM", &server.0.id().to_string()]).status()?.success());
        assert!(server.0.wait()?.success());
        let mut rest = String::new();
        printed.read_to_string(&mut rest)?;
        assert!(rest.contains("Stopped."), "{rest}");
    }
    Ok(())
}

/// Waits until it says where it serves.
fn address(printed: &mut BufReader<ChildStdout>) -> Result<String> {
    let mut all = String::new();
    while printed.read_line(&mut all)? > 0 {
        let address = all.lines().last().and_then(|line| line.strip_prefix("Serving http://")?.split(',').next());
        if let Some(address) = address {
            return Ok(address.to_owned());
        }
    }
    anyhow::bail!("it ended:\n{all}")
}

fn fetch(address: &str, path: &str) -> Result<String> {
    send(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// Sends a form as the browser does that shows it.
fn post(address: &str, path: &str, form: &str) -> Result<String> {
    send(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
}

fn send(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}
