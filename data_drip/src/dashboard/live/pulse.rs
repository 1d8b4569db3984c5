//! One look at the database per interval, whatever is watched and however many watch it: has anything changed?

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::dashboard::engine::Engine;
use crate::run::RunId;
use crate::store::marks::{Marked, Marks};

/// Between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// What the last look found.
#[derive(Clone, Debug, Default)]
pub(super) enum Pulse {
    /// Nobody has looked yet.
    #[default]
    None,
    Marks(Arc<Marks>),
    /// The database did not answer.
    Away,
}

/// Who is told of each look.
pub(super) type Pulses = watch::Receiver<Pulse>;

impl Pulse {
    pub(super) async fn take(engine: &dyn Engine, runs: Vec<RunId>) -> Self {
        match engine.marks(runs).await {
            Ok(marks) => Self::Marks(Arc::new(marks)),
            Err(error) => {
                tracing::warn!(%error, "whether watched pages have changed could not be read");
                Self::Away
            }
        }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away)
    }

    /// Whether a page about these, which was loaded when `self` was known, has to be loaded anew.
    pub(super) fn is_outdated_by(&self, now: &Self, about: &[Marked]) -> bool {
        match (self, now) {
            (_, Self::None) | (Self::Away, Self::Away) => false,
            (Self::Marks(before), Self::Marks(now)) => about.iter().any(|&marked| before.of(marked) != now.of(marked)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(runs: &str, seven: Option<&str>) -> Pulse {
        let text = |text: &str| Some(text.to_owned());
        let marks = [(Marked::Runs, text(runs)), (Marked::Run(RunId(7)), seven.and_then(text))];
        Pulse::Marks(Arc::new(Marks::made_up(marks)))
    }

    #[test]
    fn a_page_is_outdated_by_a_change_of_what_it_is_about_only() {
        let about = [Marked::Run(RunId(7))];
        let before = marks("1", Some("a"));
        assert!(!before.is_outdated_by(&marks("2", Some("a")), &about));
        assert!(before.is_outdated_by(&marks("1", Some("b")), &about));
        assert!(before.is_outdated_by(&marks("1", None), &about), "deleted");
        assert!(!marks("1", None).is_outdated_by(&marks("2", None), &about), "still");
        assert!(before.is_outdated_by(&marks("2", Some("a")), &[Marked::Runs]));
        assert!(!before.is_outdated_by(&before, &[Marked::Run(RunId(8))]), "nobody has asked for it");
    }

    #[test]
    fn a_page_is_outdated_when_the_database_goes_and_when_it_comes_back() {
        let (known, about) = (marks("1", None), [Marked::Runs]);
        assert!(Pulse::None.is_outdated_by(&known, &about), "what changed since it was loaded is not known");
        assert!(!known.is_outdated_by(&Pulse::None, &about));
        assert!(known.is_outdated_by(&Pulse::Away, &about) && Pulse::Away.is_outdated_by(&known, &about));
        assert!(!Pulse::Away.is_outdated_by(&Pulse::Away, &about));
    }
}
