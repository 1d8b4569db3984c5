//! The program as a newcomer starts it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const NOT_INSTALLED: &str = "no PostgreSQL server is installed";

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.args(arguments).env_remove("RUST_BACKTRACE");
    command
}

fn skip(test: &str) {
    // Straight to the file: what a passing test prints is not shown.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test} (PostgreSQL is not installed)");
}

#[test]
fn three_processes_share_a_run_and_each_row_is_what_it_should_be() {
    let output = program(&["--once"]).output().expect("it starts");
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if errors.contains(NOT_INSTALLED) {
        return skip("a fleet");
    }
    assert!(output.status.success(), "{printed}\n{errors}");
    for expected in ["Loaded 26,115 observations", "26,115 of 26,115 rows", "each row is what it should be"] {
        assert!(printed.contains(expected), "`{expected}` is not in:\n{printed}");
    }
    let shares: Vec<u32> = printed.lines().rev().filter_map(share).take(3).collect();
    assert_eq!(shares.iter().sum::<u32>(), 262, "all batches, by three workers:\n{printed}");
    assert!(shares.iter().all(|&batches| batches > 0), "each has done some:\n{printed}");
}

/// The batches of a worker's line.
fn share(line: &str) -> Option<u32> {
    let (_, rest) = line.trim().strip_prefix("worker ")?.split_once(' ')?;
    rest.split_whitespace().next()?.parse().ok()
}

#[test]
fn asked_to_end_it_takes_everything_with_it() {
    let mut process =
        program(&["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // Kept to the end: a program whose reader is gone fails over its next line.
    let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut address = None;
    for line in &mut lines {
        if let Some((_, url)) = line.split_once("workers: http://") {
            address = url.strip_suffix("/data_drip/workers").map(str::to_owned);
            break;
        }
    }
    let Some(address) = address else {
        let output = process.wait_with_output().expect("it has ended");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(NOT_INSTALLED), "{errors}");
        return skip("the end of a fleet");
    };
    assert!(std::net::TcpStream::connect(&address).is_ok(), "it serves at {address}");
    let asked = Command::new("kill").arg(process.id().to_string()).status().expect("there is `kill`");
    assert!(asked.success());
    let last = lines.last();
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(last.as_deref(), Some("Stopping."));
    assert!(output.status.success(), "{output:?}");
    assert!(std::net::TcpStream::connect(&address).is_err(), "the web process is gone");
}
