//! Numbers, times and texts as people read them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::Serialize;

/// A moment, for `<time datetime="…">`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    /// For machines, and shown on hover: exact.
    pub(super) iso: String,
    /// For people: to the second, in UTC.
    pub(super) text: String,
}

impl From<DateTime<Utc>> for Moment {
    fn from(at: DateTime<Utc>) -> Self {
        Self {
            iso: at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            text: at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        }
    }
}

/// `26,115`.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234/s`; slow ones by the minute or the hour, so that nothing that moves reads as zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative, and rounded")]
pub(super) fn rate(per_second: f64) -> String {
    let (rate, unit) = match per_second {
        r if r >= 1.0 => (r, "s"),
        r if r * 60.0 >= 1.0 => (r * 60.0, "min"),
        r => (r * 3600.0, "h"),
    };
    if rate >= 10.0 { format!("{}/{unit}", number(rate.round() as u64)) } else { format!("{rate:.1}/{unit}") }
}

/// `850 ms`, `4.2 s`, `3 min 12 s`, `2 h 05 min`, `3 d 04 h`.
pub(super) fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0 => format!("{} ms", d.as_millis()),
        1..10 => format!("{:.1} s", d.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A time to come, in one unit: `40 s`, `12 min`, `3 h`, `2 d`. Finer would pretend to know.
pub(super) fn span(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..100 => format!("{} s", seconds.max(1)),
        100..5_940 => format!("{} min", (seconds + 30) / 60),
        5_940..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// From one such time to another: `40 s`, `12–34 min`, `40 s–3 min`.
pub(super) fn span_between(least: Duration, most: Duration) -> String {
    let (least, most) = (span(least), span(most));
    match (least.split_once(' '), most.split_once(' ')) {
        _ if least == most => least,
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}–{most}"),
        _ => format!("{least}–{most}"),
    }
}

/// The names that hold `search`, whatever the case.
pub(super) fn matching(search: &str, names: &[String]) -> Vec<String> {
    let search = search.trim().to_lowercase();
    names.iter().filter(|name| name.to_lowercase().contains(&search)).cloned().collect()
}

/// One decimal, rounded down: what is not done never reads as 100.
pub(super) fn percent(percent: f64) -> String {
    format!("{:.1}", (percent * 10.0).floor() / 10.0)
}

/// The first `limit` characters, and whether there were more.
pub(super) fn shortened(text: &str, limit: usize) -> (Cow<'_, str>, bool) {
    match text.char_indices().nth(limit) {
        None => (visible(text), false),
        Some((end, _)) => (Cow::Owned(format!("{}…", visible(&text[..end]))), true),
    }
}

/// Control characters as their pictures: HTML cannot carry a NUL, and a key may hold one.
///
/// Marks that reorder text are shown too, so that a key or name cannot pretend to be another.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7f}' => shown.push('\u{2421}'),
            c if odd(c) && u32::from(c) < 0x20 => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or(c)),
            c if odd(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// What `<input type="datetime-local">` takes and sends: no zone; we say that it is UTC.
pub(super) fn datetime_local(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (26_115, "26,115"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), text);
        }
        assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn slow_rates_do_not_read_as_zero() {
        for (r, text) in [(1234.4, "1,234/s"), (9.96, "10.0/s"), (0.5, "30/min"), (0.001, "3.6/h")] {
            assert_eq!(rate(r), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (Duration::from_millis(850), "850 ms"),
            (Duration::from_millis(4_240), "4.2 s"),
            (Duration::from_secs(59), "59 s"),
            (Duration::from_secs(192), "3 min 12 s"),
            (Duration::from_mins(125), "2 h 05 min"),
            (Duration::from_hours(76), "3 d 04 h"),
        ];
        for (d, text) in cases {
            assert_eq!(duration(d), text);
        }
    }

    #[test]
    fn a_time_to_come_has_one_unit() {
        let cases = [(0, "1 s"), (99, "99 s"), (100, "2 min"), (3_600, "60 min"), (10_000, "3 h"), (200_000, "2 d")];
        for (seconds, text) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_range_of_times_names_a_unit_once() {
        let between = |least, most| span_between(Duration::from_secs(least), Duration::from_secs(most));
        assert_eq!([between(40, 40), between(720, 2_040), between(40, 180)], ["40 s", "12–34 min", "40 s–3 min"]);
    }

    #[test]
    fn what_is_not_done_never_reads_as_100() {
        assert_eq!(percent(99.999), "99.9");
        assert_eq!(percent(100.0), "100.0");
    }

    #[test]
    fn texts_are_cut_between_characters_and_say_so() {
        assert_eq!(shortened("äöü", 3), ("äöü".into(), false));
        assert_eq!(shortened("äöü", 2), ("äö…".into(), true));
    }

    #[test]
    fn control_and_reordering_characters_are_shown() {
        assert_eq!(visible("a\0b\u{7f}c\u{202e}d\u{85}\n"), "a\u{2400}b\u{2421}c\\u{202e}d\\u{85}\n");
        assert!(matches!(visible("plain\ttext\n"), Cow::Borrowed(_)));
    }
}
