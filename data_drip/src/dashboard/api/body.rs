//! Reads a request's JSON: every field by name, every mistake found, nothing that is not known let through.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::dashboard::problem::Problem;
use crate::error::FieldError;
use crate::suggest::did_you_mean;

/// A JSON object that was sent; nothing at all counts as an empty one.
pub(super) struct Body {
    values: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self::of(Map::new()));
        }
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Not JSON",
                "The body must be JSON, and say so.",
                "Send `Content-Type: application/json`.",
            ));
        }
        // The parser's words may quote the body.
        let values = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::bad_request(format!(
                "The body is no JSON object (line {}, column {}).",
                error.line(),
                error.column()
            ))
        })?;
        Ok(Self::of(values))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given
        .and_then(|given| given.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            "The body is larger than anything that this takes.",
            "Send less.",
        );
    }
    Problem::bad_request("The body could not be read.")
}

impl Body {
    fn of(values: Map<String, Value>) -> Self {
        Self { values, known: Vec::new(), errors: Vec::new() }
    }

    /// What was sent as `name`; `null` counts as not sent.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.values.remove(name).filter(|value| !value.is_null())
    }

    fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(name, message));
    }

    fn read<T>(&mut self, name: &'static str, wanted: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.take(name)?;
        let read = read(value);
        if read.is_none() {
            self.refuse(name, format!("must be {wanted}"));
        }
        read
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.read(name, "text", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(super) fn whole(&mut self, name: &'static str) -> Option<u64> {
        self.read(name, "a whole number from 0", |value| value.as_u64())
    }

    pub(super) fn millis(&mut self, name: &'static str) -> Option<Duration> {
        self.read(name, "a whole number of milliseconds from 0", |value| value.as_u64().map(Duration::from_millis))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, "true or false", |value| value.as_bool())
    }

    pub(super) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.read(name, "a moment such as `2026-01-31T18:00:00Z`", |value| {
            DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.to_utc())
        })
    }

    pub(super) fn object(&mut self, name: &'static str) -> Map<String, Value> {
        let object = self.read(name, "an object", |value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        });
        object.unwrap_or_default()
    }

    /// Every mistake so far, with the fields that are none.
    pub(super) fn finish(mut self) -> Vec<FieldError> {
        for name in std::mem::take(&mut self.values).keys() {
            let hint =
                did_you_mean(name, &self.known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.refuse(name, format!("is no field of this request{hint}"));
        }
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_found_and_unknown_fields_are_refused() {
        let Value::Object(sent) = json!({ "batch_size": -1, "start_at": "tomorrow", "nmae": "x", "now": null }) else {
            unreachable!()
        };
        let mut body = Body::of(sent);
        assert_eq!(body.whole("batch_size"), None);
        assert_eq!(body.time("start_at"), None);
        assert_eq!(body.text("name"), None);
        assert_eq!(body.flag("now"), None);
        let errors = body.finish();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["batch_size", "start_at", "nmae"]);
        assert!(errors[2].message.ends_with("did you mean `name`?"));
    }
}
