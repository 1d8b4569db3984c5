//! A kept error: what went wrong, why, and where.

use serde::Serialize;

use super::SHORT;
use crate::dashboard::format;
use crate::error::Report;

/// Causes of an error in a list; the batch's own page has all of them.
const CAUSES_IN_LIST: usize = 8;

/// An error with its first line for the fold, and whether there is more than is here.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::dashboard) struct ErrorView {
    summary: String,
    message: String,
    /// Each the reason of the one before it.
    causes: Vec<String>,
    /// File, line and column of a panic.
    place: Option<String>,
    cut: bool,
}

impl ErrorView {
    /// `limit` is how many characters of the message, and of each cause, are sent; `None` for all of everything.
    pub(in crate::dashboard) fn new(error: &str, limit: Option<usize>) -> Self {
        let report = Report::read(error);
        let first = report.message.lines().find(|line| !line.trim().is_empty()).unwrap_or("(no message)");
        let mut cut = false;
        let mut shown = |text: &str| {
            let (text, more) = format::shortened(text, limit.unwrap_or(usize::MAX));
            cut |= more;
            text.into_owned()
        };
        let most = limit.map_or(usize::MAX, |_| CAUSES_IN_LIST);
        let message = shown(&report.message);
        let causes = report.causes.iter().take(most).map(|cause| shown(cause)).collect();
        let place = report.place.as_deref().map(shown);
        cut |= report.causes.len() > most;
        Self { summary: format::shortened(first, SHORT).0.into_owned(), message, causes, place, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_laid_out_and_folded_to_its_first_line() {
        let error = ErrorView::new("\n  row 7: no such zone\ncaused by: x\ncaused by: y\nat src/zones.rs:12:5", None);
        assert_eq!(error.summary, "  row 7: no such zone");
        assert_eq!(error.message, "\n  row 7: no such zone");
        assert_eq!(error.causes, ["x", "y"]);
        assert_eq!((error.place.as_deref(), error.cut), (Some("src/zones.rs:12:5"), false));
    }

    #[test]
    fn a_long_error_is_cut_in_a_list_and_whole_on_its_own_page() {
        let long = format!("{}{}", "x".repeat(1_000_000), "\ncaused by: y".repeat(20));
        let error = ErrorView::new(&long, Some(12));
        assert_eq!((error.message.chars().count(), error.causes.len(), error.cut), (13, CAUSES_IN_LIST, true));
        let error = ErrorView::new(&long, None);
        assert_eq!((error.message.len(), error.causes.len(), error.cut), (1_000_000, 20, false));
    }
}
