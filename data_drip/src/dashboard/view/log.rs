//! What user code said, line by line.

use serde::Serialize;

use super::{VALUE, shown};
use crate::dashboard::format::{self, Moment};
use crate::logs::LogLine;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct LogView {
    id: i64,
    position: u64,
    at: Moment,
    level: &'static str,
    target: String,
    message: String,
    fields: Vec<(String, String)>,
    /// So many lines were not kept, and this stands for them.
    dropped: Option<String>,
}

impl From<&LogLine> for LogView {
    fn from(line: &LogLine) -> Self {
        let short = |text: &str| format::shortened(text, VALUE).0.into_owned();
        Self {
            id: line.id.0,
            position: line.position,
            at: line.at.into(),
            level: line.level.as_str(),
            target: short(&line.target),
            message: short(&line.message),
            fields: line.fields.iter().map(|(name, value)| (short(name), shown(value))).collect(),
            dropped: (line.dropped > 0).then(|| format::number(line.dropped)),
        }
    }
}
