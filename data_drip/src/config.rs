//! What can be set: by the builder, and by operators through the environment.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::options::Settings;
use crate::store::migrate::Migrate;

/// A longer pause between two batches is a mistake in the unit.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_hours(24);

/// Everything the builder sets.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) slots: usize,
    pub(crate) batch_size: u64,
    pub(crate) sleep: Duration,
    /// Empty for all queues.
    pub(crate) queues: Vec<String>,
    pub(crate) poll_interval: Duration,
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) share_pool: bool,
    /// Whether previews show rows.
    pub(crate) samples: bool,
    pub(crate) migrate: Migrate,
    pub(crate) environment: Environment,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slots: 1,
            batch_size: 1_000,
            sleep: Duration::ZERO,
            queues: Vec::new(),
            poll_interval: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            share_pool: false,
            samples: true,
            migrate: Migrate::default(),
            environment: Environment::default(),
        }
    }
}

impl Config {
    /// The batch size of a run that names none: environment, then backfill, then builder.
    pub(crate) fn batch_size_for(&self, settings: &Settings) -> u64 {
        self.environment.batch_size.or(settings.batch_size).unwrap_or(self.batch_size)
    }

    /// The pause after each batch of a run that names none, likewise.
    pub(crate) fn sleep_for(&self, settings: &Settings) -> Duration {
        self.environment.sleep.or(settings.sleep_ms.map(Duration::from_millis)).unwrap_or(self.sleep)
    }

    /// Where the number of slots was set, for messages.
    pub(crate) fn slots_by(&self) -> String {
        match self.environment.concurrency {
            Some(slots) => format!("DATA_DRIP_CONCURRENCY is `{slots}`"),
            None => format!("the builder says `.slots({})`", self.slots),
        }
    }

    /// Puts what operators said over what the code said.
    pub(crate) fn apply(&mut self, environment: Environment) {
        if let Some(slots) = environment.concurrency {
            self.slots = slots;
        }
        if let Some(queues) = &environment.queues {
            self.queues.clone_from(queues);
        }
        if let Some(poll_interval) = environment.poll_interval {
            self.poll_interval = poll_interval;
        }
        self.environment = environment;
    }
}

/// What the `DATA_DRIP_*` variables say; `None` where one is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    concurrency: Option<usize>,
    batch_size: Option<u64>,
    sleep: Option<Duration>,
    queues: Option<Vec<String>>,
    poll_interval: Option<Duration>,
}

impl Environment {
    /// Reads the variables through `get`; all bad values at once.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut wrong = Vec::new();
        let environment = Self {
            concurrency: take(&get, &mut wrong, "DATA_DRIP_CONCURRENCY", "a whole number from 1", |text| {
                text.parse().ok().filter(|&n| n >= 1)
            }),
            batch_size: take(&get, &mut wrong, "DATA_DRIP_BATCH_SIZE", "a whole number from 1 to 2^63 - 1", |text| {
                text.parse().ok().filter(|&n| n >= 1 && i64::try_from(n).is_ok())
            }),
            sleep: take(&get, &mut wrong, "DATA_DRIP_SLEEP", "a duration of at most a day, such as `500ms`", |text| {
                duration(text).filter(|pause| *pause <= LONGEST_SLEEP)
            }),
            queues: take(&get, &mut wrong, "DATA_DRIP_QUEUES", "queue names separated by commas", queues),
            poll_interval: take(&get, &mut wrong, "DATA_DRIP_POLL_INTERVAL", DURATION, |text| {
                duration(text).filter(|pause| !pause.is_zero())
            }),
        };
        if wrong.is_empty() { Ok(environment) } else { Err(Error::new(ErrorKind::Configuration, wrong.join("; "))) }
    }
}

const DURATION: &str = "a duration such as `500ms`, `2s`, `5m` or `1h`";

fn take<T>(
    get: impl Fn(&str) -> Option<String>,
    wrong: &mut Vec<String>,
    name: &str,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = get(name)?;
    let value = parse(text.trim());
    if value.is_none() {
        wrong.push(format!("{name} is `{text}`, which is not {wanted}"));
    }
    value
}

fn queues(text: &str) -> Option<Vec<String>> {
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

/// `500ms`, `2s`, `5m`, `1h`; a bare `0` too.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    count.checked_mul(unit).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn variables_that_are_not_set_change_nothing() {
        assert_eq!(read(&[]).unwrap(), Environment::default());
    }

    #[test]
    fn every_variable_is_read() {
        let environment = read(&[
            ("DATA_DRIP_CONCURRENCY", "4"),
            ("DATA_DRIP_BATCH_SIZE", " 250 "),
            ("DATA_DRIP_SLEEP", "1500ms"),
            ("DATA_DRIP_QUEUES", "slow, default"),
            ("DATA_DRIP_POLL_INTERVAL", "2s"),
        ])
        .unwrap();
        assert_eq!(environment.concurrency, Some(4));
        assert_eq!(environment.batch_size, Some(250));
        assert_eq!(environment.sleep, Some(Duration::from_millis(1_500)));
        assert_eq!(environment.queues, Some(vec!["slow".to_owned(), "default".to_owned()]));
        assert_eq!(environment.poll_interval, Some(Duration::from_secs(2)));
    }

    #[test]
    fn bad_values_are_refused_together_with_variable_and_value() {
        let error = read(&[
            ("DATA_DRIP_CONCURRENCY", "many"),
            ("DATA_DRIP_BATCH_SIZE", "0"),
            ("DATA_DRIP_SLEEP", "25h"),
            ("DATA_DRIP_QUEUES", "a,,b"),
            ("DATA_DRIP_POLL_INTERVAL", "0"),
        ])
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        for part in [
            "DATA_DRIP_CONCURRENCY is `many`",
            "BATCH_SIZE is `0`",
            "DATA_DRIP_SLEEP is `25h`, which is not a duration of at most a day",
            "`a,,b`",
            "INTERVAL is `0`",
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn operators_win_over_the_backfill_and_the_backfill_over_the_builder() {
        let mut config = Config { batch_size: 10, ..Config::default() };
        let mut settings = Settings::DEFAULT;
        assert_eq!(config.batch_size_for(&settings), 10);
        settings.batch_size = Some(20);
        assert_eq!(config.batch_size_for(&settings), 20);
        assert_eq!(config.sleep_for(&settings), Duration::ZERO);
        settings.sleep_ms = Some(40);
        assert_eq!(config.sleep_for(&settings), Duration::from_millis(40));
        let said = [
            ("DATA_DRIP_BATCH_SIZE", "30"),
            ("DATA_DRIP_SLEEP", "50ms"),
            ("DATA_DRIP_CONCURRENCY", "6"),
            ("DATA_DRIP_QUEUES", "slow"),
            ("DATA_DRIP_POLL_INTERVAL", "7s"),
        ];
        config.apply(read(&said).unwrap());
        assert_eq!(config.batch_size_for(&settings), 30);
        assert_eq!(config.sleep_for(&settings), Duration::from_millis(50));
        assert_eq!((config.slots, config.poll_interval), (6, Duration::from_secs(7)));
        assert_eq!(config.queues, ["slow"]);
    }

    #[test]
    fn durations_need_a_unit_and_do_not_overflow() {
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("1h"), Some(Duration::from_hours(1)));
        for bad in ["", "5", "s", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
