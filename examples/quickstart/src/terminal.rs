//! What a person sees in the terminal while a run is under way.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use data_drip::{Progress, Run};

/// A line that shows how far a run is: rewritten in place on a terminal, elsewhere a plain line each second.
#[derive(Debug)]
pub struct ProgressLine {
    in_place: bool,
    width: usize,
    /// When a plain line was printed last, and how many rows it showed.
    shown: Option<(Instant, u64)>,
}

impl ProgressLine {
    /// On standard output.
    #[expect(clippy::new_without_default, reason = "it looks at standard output")]
    pub fn new() -> Self {
        Self { in_place: stdout().is_terminal(), width: 0, shown: None }
    }

    /// Shows how far it is by now.
    pub fn show(&mut self, progress: &Progress) {
        if self.in_place {
            self.rewrite(&line(progress));
            return;
        }
        let (at, rows) = self.shown.unzip();
        let is_news = progress.processed > rows.unwrap_or(0);
        if is_news && at.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            self.shown = Some((Instant::now(), progress.processed));
            println!("{}", line(progress));
        }
    }

    /// Leaves a last line that says what was done in how long.
    pub fn finish(mut self, run: &Run) {
        let text = last_line(&run.progress());
        if self.in_place {
            self.rewrite(&text);
            println!();
        } else {
            println!("{text}");
        }
    }

    fn rewrite(&mut self, text: &str) {
        // Spaces instead of a control sequence: they clear the longer line of before on every terminal.
        print!("\r{text:<width$}", width = self.width);
        self.width = text.chars().count();
        // Nobody misses a progress line that could not be written.
        let _ = stdout().flush();
    }
}

fn line(progress: &Progress) -> String {
    let percent = progress.percent.map(|percent| format!("{percent:.0} %   ")).unwrap_or_default();
    let total = match progress.total {
        Some(total) if total.exact => format!(" of {}", thousands(total.count)),
        Some(total) => format!(" of about {}", thousands(total.count)),
        None => String::new(),
    };
    let rate = progress.throughput.map(|rate| format!("   {} rows/s", whole(rate))).unwrap_or_default();
    let left = progress.remaining.map(|left| format!("   {} s left", left.as_secs() + 1)).unwrap_or_default();
    format!("  {percent}{}{total} rows{rate}{left}", thousands(progress.processed))
}

#[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
fn last_line(progress: &Progress) -> String {
    let rows = thousands(progress.processed);
    match progress.elapsed.map(|elapsed| elapsed.as_secs_f64()) {
        Some(seconds) if progress.processed > 0 && seconds > 0.0 => {
            format!("  {rows} rows in {seconds:.1} s, {} rows/s", whole(progress.processed as f64 / seconds))
        }
        _ => format!("  {rows} rows"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate: not negative, and small")]
fn whole(rate: f64) -> String {
    thousands(rate.round() as u64)
}

/// `26,115`.
pub fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0_u64, 999, 1_000, 26_115, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "26,115", "1,234,567"]);
    }
}
