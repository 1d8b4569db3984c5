//! Charts as bars that a template draws as SVG: no script, no style attribute.

use std::time::Duration;

use serde::Serialize;

use super::format::{self, Moment};
use crate::api::{BatchDuration, Slice, Throughput};
use crate::run::Run;

/// Width of a bar's place, and of the bar in it; charts are stretched to the width of the page.
const PLACE: u64 = 10;
const BAR: u64 = 8;
const HEIGHT: f64 = 100.0;
/// Places at least, so that the first bar does not fill the page.
const PLACES: u64 = 40;
const PLACES_SETTLED: u64 = 8;

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Bars {
    width: u64,
    list: Vec<Bar>,
    /// What the highest bar stands for.
    top: String,
    /// All of it in a sentence.
    label: String,
    /// What stands under its left and right ends.
    from: Option<Moment>,
    until: Option<Moment>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Bar {
    x: u64,
    y: String,
    width: u64,
    height: String,
    /// Shown on hover.
    title: String,
}

impl Bars {
    fn new(values: &[(u64, f64, String)], places: u64, top: String, label: String) -> Self {
        let width = places * PLACE;
        let greatest = values.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
        let bar = |(place, value, title): &(u64, f64, String)| {
            // What is not nothing can be seen.
            let height = if greatest > 0.0 { (value / greatest * HEIGHT).max(1.5) } else { 0.0 };
            Bar {
                x: place * PLACE + 1,
                y: format!("{:.1}", HEIGHT - height),
                width: BAR,
                height: format!("{height:.1}"),
                title: title.clone(),
            }
        };
        Self { width, list: values.iter().map(bar).collect(), top, label, from: None, until: None }
    }
}

/// Rows per second over the run's time; `None` before anything was committed, and for a time shorter than a slice, of
/// which a rate would be made up.
pub(super) fn throughput(run: &Run, measured: &Throughput) -> Option<Bars> {
    let until = run.finished_at.unwrap_or(run.read_at);
    let span = run.started_at.and_then(|from| (until - from).to_std().ok()).unwrap_or_default();
    let busy = measured.busy.iter().filter(|slice| slice.processed > 0);
    let values: Vec<_> = busy.map(|slice| value(slice, measured, span)).collect();
    let greatest = values.iter().map(|(_, rate, _)| *rate).fold(0.0, f64::max);
    if values.is_empty() || span < measured.width {
        return None;
    }
    let top = format!("{} rows/s", short_rate(greatest));
    let label = format!("Rows per second over time, in slices of {}; at most {top}", format::duration(measured.width));
    let least = if run.finished_at.is_some() { PLACES_SETTLED } else { PLACES };
    let mut bars = Bars::new(&values, measured.slices.max(least), top, label);
    bars.from = run.started_at.map(Moment::from);
    // The right end is a moment only when the time fills the chart.
    bars.until = Some(until.into()).filter(|_| measured.slices >= least);
    Some(bars)
}

/// A slice's place, rate and words. The last one is not a whole one: its bar stands for its rows in the time of a whole
/// slice, so that it is never higher than what was, and its words name no rate.
fn value(slice: &Slice, measured: &Throughput, span: Duration) -> (u64, f64, String) {
    let begins = measured.width.saturating_mul(u32::try_from(slice.index).unwrap_or(u32::MAX));
    #[expect(clippy::cast_precision_loss, reason = "a rate to be drawn")]
    let rate = slice.processed as f64 / measured.width.as_secs_f64();
    let passed = span.saturating_sub(begins);
    let words = if passed < measured.width {
        format!("{} rows in {}", format::number(slice.processed), format::duration(passed))
    } else {
        format!("{} rows/s", short_rate(rate))
    };
    let title = format!("{words}, {} batches, after {}", format::number(slice.batches), format::duration(begins));
    (slice.index, rate, title)
}

/// How long each of the latest batches took, the oldest of them first.
pub(super) fn durations(latest: &[BatchDuration]) -> Option<Bars> {
    if latest.is_empty() {
        return None;
    }
    let values: Vec<_> = latest
        .iter()
        .rev()
        .zip(0..)
        .map(|(batch, place)| {
            let took = format::duration(batch.took);
            let rows = format::number(batch.processed);
            (place, batch.took.as_secs_f64(), format!("batch {}: {took}, {rows} rows", batch.position))
        })
        .collect();
    let longest = latest.iter().map(|batch| batch.took).max().unwrap_or_default();
    let mut sorted: Vec<Duration> = latest.iter().map(|batch| batch.took).collect();
    sorted.sort_unstable();
    let median = format::duration(sorted[sorted.len() / 2]);
    let top = format::duration(longest);
    let label = format!("How long the last {} batches took: {median} in the middle, {top} at most", latest.len());
    Some(Bars::new(&values, PLACES.max(latest.len() as u64), top, label))
}

fn short_rate(rate: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative, and rounded")]
    let whole = rate.round() as u64;
    if rate >= 10.0 { format::number(whole) } else { format!("{rate:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::running;

    #[test]
    fn the_highest_bar_is_as_high_as_the_chart_and_idle_slices_are_gaps() {
        let busy = vec![
            Slice { index: 0, processed: 100, batches: 1 },
            Slice { index: 3, processed: 50, batches: 2 },
            Slice { index: 4, processed: 0, batches: 1 },
        ];
        let measured = Throughput { width: Duration::from_secs(1), slices: 50, busy };
        let chart = throughput(&running(1_000, 150, true), &measured).unwrap();
        let drawn: Vec<_> = chart.list.iter().map(|bar| (bar.x, bar.y.as_str(), bar.height.as_str())).collect();
        assert_eq!(drawn, [(1, "0.0", "100.0"), (31, "50.0", "50.0")]);
        assert_eq!((chart.width, chart.top.as_str()), (500, "100 rows/s"));
        assert_eq!(chart.list[1].title, "50 rows/s, 2 batches, after 3.0 s");
    }

    /// A run that was over at once, or a slice that has only begun, would have any rate one likes.
    #[test]
    fn what_is_shorter_than_a_slice_makes_no_peak() {
        let slice = |index| Slice { index, processed: 100, batches: 1 };
        let mut run = running(1_000, 300, true);
        let from = run.read_at - chrono::TimeDelta::milliseconds(2_010);
        run.started_at = Some(from);
        let width = Duration::from_secs(1);
        let measured = Throughput { width, slices: 3, busy: vec![slice(0), slice(1), slice(2)] };
        let chart = throughput(&run, &measured).unwrap();
        assert_eq!(chart.top, "100 rows/s");
        assert_eq!(chart.list[2].title, "100 rows in 10 ms, 1 batches, after 2.0 s");

        run.finished_at = Some(from + chrono::TimeDelta::milliseconds(250));
        let measured = Throughput { width, slices: 1, busy: vec![slice(0)] };
        assert_eq!(throughput(&run, &measured), None);
    }

    #[test]
    fn durations_are_drawn_from_the_oldest_on() {
        let batch = |position, ms| BatchDuration { position, took: Duration::from_millis(ms), processed: 10 };
        let chart = durations(&[batch(2, 50), batch(1, 100)]).unwrap();
        assert_eq!(chart.list[0].title, "batch 1: 100 ms, 10 rows");
        assert_eq!((chart.list[0].height.as_str(), chart.list[1].height.as_str()), ("100.0", "50.0"));
        assert_eq!(durations(&[]), None);
        assert!(durations(&[batch(1, 0)]).is_some(), "a clock too coarse to tell");
    }
}
