//! What a person sees in the terminal while a run is under way.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use data_drip::{Progress, Run};

/// A line that shows how far a run is: rewritten in place on a terminal, a plain line each second elsewhere.
#[derive(Debug)]
pub struct ProgressLine {
    in_place: bool,
    width: usize,
    shown: Option<Instant>,
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
        } else if progress.processed > 0 && self.shown.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            self.shown = Some(Instant::now());
            println!("{}", line(progress));
        }
    }

    /// Leaves a last line that says what was done in how long.
    pub fn finish(mut self, run: &Run) {
        let Progress { processed, elapsed, .. } = run.progress();
        let mut text = format!("  {} rows", thousands(processed));
        if let Some(elapsed) = elapsed {
            text += &format!(" in {:.1} s", elapsed.as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
            let rate = processed as f64 / elapsed.as_secs_f64();
            if processed > 0 && rate.is_finite() {
                text += &format!(", {} rows/s", whole(rate));
            }
        }
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
    let mut text = String::from("  ");
    if let Some(percent) = progress.percent {
        text += &format!("{percent:3.0} %   ");
    }
    text += &thousands(progress.processed);
    if let Some(total) = progress.total {
        text += if total.exact { " of " } else { " of about " };
        text += &thousands(total.count);
    }
    text += " rows";
    if let Some(rate) = progress.throughput {
        text += &format!("   {} rows/s", whole(rate));
    }
    if let Some(remaining) = progress.remaining {
        text += &format!("   {} s left", remaining.as_secs() + 1);
    }
    text
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
