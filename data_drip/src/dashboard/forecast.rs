//! How long a run may still take: a range, since a rate is no promise.

use std::time::Duration;

use crate::api::Throughput;
use crate::run::Run;
use crate::status::RunStatus;

/// Slices that count as recent.
const RECENT: u64 = 12;
/// With fewer, nothing is said: one batch makes no rate.
const ENOUGH: usize = 3;

/// The least and the greatest time that is left, from the faster and the slower of the recent slices. An estimated total
/// widens the range by a tenth on either side.
pub(super) fn remaining(run: &Run, measured: Option<&Throughput>) -> Option<(Duration, Duration)> {
    let total = run.total?;
    let left = total.count.saturating_sub(run.counts.processed);
    if run.status != RunStatus::Running || left == 0 {
        return None;
    }
    let (slow, fast) = rates(measured?)?;
    #[expect(clippy::cast_precision_loss, reason = "a duration to be shown")]
    let left = left as f64;
    let doubt = if total.exact { 0.0 } else { 0.1 };
    let time = |rate: f64, doubt: f64| Duration::try_from_secs_f64(left * (1.0 + doubt) / rate).ok();
    time(fast, -doubt).zip(time(slow, doubt))
}

/// Elements per second: the lower and the upper quartile of the recent slices that are over, idle ones too.
fn rates(measured: &Throughput) -> Option<(f64, f64)> {
    let over = measured.slices.saturating_sub(1);
    let recent = over.saturating_sub(RECENT)..over;
    let of = |index: u64| measured.busy.iter().find(|slice| slice.index == index).map_or(0, |slice| slice.processed);
    let mut processed: Vec<u64> = recent.map(of).collect();
    if processed.len() < ENOUGH {
        return None;
    }
    processed.sort_unstable();
    let quartile = |n: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
        let processed = processed[(processed.len() - 1) * n / 4] as f64;
        processed / measured.width.as_secs_f64()
    };
    // A run that stands still most of the time has no end in sight.
    Some((quartile(1), quartile(3))).filter(|(slow, _)| *slow > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Slice;
    use crate::dashboard::tests::running;

    fn measured(processed: &[u64]) -> Throughput {
        let slice = |(index, &processed): (usize, &u64)| Slice { index: index as u64, processed, batches: 1 };
        Throughput {
            width: Duration::from_secs(2),
            slices: processed.len() as u64,
            busy: processed.iter().enumerate().filter(|(_, n)| **n > 0).map(slice).collect(),
        }
    }

    /// The last slice is not over yet, and does not count.
    #[test]
    fn a_steady_run_has_one_end_and_an_unsteady_one_a_range() {
        let run = running(1_000, 600, true);
        let steady = remaining(&run, Some(&measured(&[20, 20, 20, 20, 20, 1])));
        assert_eq!(steady, Some((Duration::from_secs(40), Duration::from_secs(40))));
        let (least, most) = remaining(&run, Some(&measured(&[10, 20, 30, 40, 50, 1]))).unwrap();
        assert_eq!((least, most), (Duration::from_secs(20), Duration::from_secs(40)));
    }

    #[test]
    fn an_estimated_total_widens_the_range() {
        let run = running(1_000, 600, false);
        let range = remaining(&run, Some(&measured(&[20, 20, 20, 20, 1])));
        assert_eq!(range, Some((Duration::from_secs(36), Duration::from_secs(44))));
    }

    #[test]
    fn nothing_is_said_without_a_rate() {
        let run = running(1_000, 600, true);
        assert_eq!(remaining(&run, None), None);
        assert_eq!(remaining(&run, Some(&measured(&[50, 50]))), None);
        assert_eq!(remaining(&run, Some(&measured(&[50, 0, 0, 0, 0, 0, 0, 1]))), None);
        assert_eq!(remaining(&running(1_000, 1_000, true), Some(&measured(&[50; 9]))), None);
    }
}
