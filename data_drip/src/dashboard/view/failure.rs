//! Batches that failed alike.

use serde::Serialize;

use super::SHORT;
use crate::api::FailureGroup;
use crate::dashboard::format;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct FailureView {
    message: String,
    batches: String,
    many: bool,
    /// The position of the first of them.
    first: u64,
}

impl From<&FailureGroup> for FailureView {
    fn from(group: &FailureGroup) -> Self {
        Self {
            message: format::shortened(&group.message, SHORT * 2).0.into_owned(),
            batches: format::number(group.batches),
            many: group.batches > 1,
            first: group.first,
        }
    }
}
