//! What a person sees in the terminal while the run is under way.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// Lines that are rewritten in place on a terminal; elsewhere they are printed now and then.
pub(crate) struct Screen {
    in_place: bool,
    lines: usize,
    printed: Option<Instant>,
}

impl Screen {
    /// On standard output.
    pub(crate) fn new() -> Self {
        Self { in_place: stdout().is_terminal(), lines: 0, printed: None }
    }

    pub(crate) fn show(&mut self, lines: &[String], last: bool) {
        if self.in_place {
            // Up to the first line, and each to its end.
            let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
            print!("{up}{}\x1b[K\n\x1b[J", lines.join("\x1b[K\n"));
            self.lines = lines.len();
        } else if last || self.printed.is_none_or(|printed| printed.elapsed() >= Duration::from_secs(2)) {
            self.printed = Some(Instant::now());
            println!("{}", lines.join("\n"));
        }
        // Nobody misses a line that could not be written.
        let _ = stdout().flush();
    }
}

/// `26,115`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
