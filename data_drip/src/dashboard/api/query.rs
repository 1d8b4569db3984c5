//! What the addresses of lists take; anything else in a query string is refused.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use http::request::Parts;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

use crate::dashboard::problem::Problem;
use crate::logs::{LogId, LogLevel};
use crate::run::RunId;
use crate::status::{BatchStatus, RunStatus};

/// Items of a page, at most.
const MOST: u32 = 500;
const USUAL: u32 = 50;

/// A query string as a `T`.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        AxumQuery::try_from_uri(&parts.uri)
            .map(|AxumQuery(query)| Self(query))
            .map_err(|error| Problem::bad_request(format!("The query string is not understood: {}", reason(&error))))
    }
}

fn reason(error: &dyn std::error::Error) -> String {
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    super::super::format::shortened(&reason, 300).0.into_owned()
}

/// How many items a page has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = parsed::<u32, D>(deserializer)?;
        if (1..=MOST).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(D::Error::custom(format!("limit must be 1 to {MOST}")))
        }
    }
}

/// Query strings hold text only.
fn parsed<'de, T: std::str::FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn some<'de, T: std::str::FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    parsed(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Runs {
    #[serde(deserialize_with = "some")]
    pub(super) status: Option<RunStatus>,
    pub(super) backfill: Option<String>,
    /// A part of the backfill's name.
    pub(super) search: Option<String>,
    /// The host's id of whoever started them.
    pub(super) backfiller: Option<String>,
    #[serde(deserialize_with = "some")]
    pub(super) before: Option<RunId>,
    pub(super) limit: Limit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batches {
    #[serde(deserialize_with = "some")]
    pub(super) status: Option<BatchStatus>,
    #[serde(deserialize_with = "some")]
    pub(super) after: Option<u64>,
    pub(super) limit: Limit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Logs {
    /// The batch's place in the run.
    #[serde(deserialize_with = "some")]
    pub(super) batch: Option<u64>,
    #[serde(deserialize_with = "some")]
    pub(super) level: Option<LogLevel>,
    #[serde(deserialize_with = "some")]
    pub(super) after: Option<LogId>,
    pub(super) limit: Limit,
}

/// For addresses that take nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
