//! What can go wrong on a page: status, safe text and advice, declared in one place. Internals go to the log.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::error::{Error, ErrorKind, FieldError};

/// A refused or failed request. The gate turns it into a page, since only the gate knows the mount and the visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    /// What is wrong.
    pub(super) text: Cow<'static, str>,
    /// What to try.
    pub(super) advice: &'static str,
    /// Where to go from here, below the mount.
    pub(super) back: Option<Box<(String, String)>>,
    /// The fields that were refused.
    pub(super) fields: Vec<FieldError>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        title: &'static str,
        text: impl Into<Cow<'static, str>>,
        advice: &'static str,
    ) -> Self {
        Self { status, title, text: text.into(), advice, back: None, fields: Vec::new() }
    }

    /// Offers a link to a page of the dashboard.
    #[must_use]
    pub(super) fn back_to(mut self, path: impl Into<String>, label: impl Into<String>) -> Self {
        self.back = Some(Box::new((path.into(), label.into())));
        self
    }

    pub(super) fn denied() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "No access",
            "You are not allowed to see the backfills of this application.",
            "Ask whoever runs it to give you access.",
        )
    }

    pub(super) fn read_only() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Read only",
            "You may look at backfills and runs, but not start or change any.",
            "Ask whoever runs this application for the right to act.",
        )
    }

    pub(super) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Refused",
            "This request came from another site, so nothing was changed.",
            "Open the dashboard itself and try again from there. If that is where you are, the proxy in front of this \
             application has to pass the browser's Host header on.",
        )
    }

    pub(super) fn no_such_page() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no page at this address.",
            "Check the address, or start from the list of runs.",
        )
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Nothing to see here",
            "This address takes a button's click; it cannot be opened or reloaded.",
            "Go back to the page with the button.",
        )
    }

    pub(super) fn wrong_api_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Wrong method",
            "This address does not take this method.",
            "The description at `api/v1/openapi.json` says what each address takes.",
        )
    }

    /// As `application/problem+json`: <https://www.rfc-editor.org/rfc/rfc9457>.
    pub(super) fn json(&self) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.text,
            "advice": self.advice,
            "fields": self.fields,
        });
        let kind = [(http::header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, body.to_string()).into_response()
    }

    pub(super) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "Not understood",
            text,
            "Go back to the page you came from, reload it and try again.",
        )
    }

    /// Our own fault; `error` is logged, never shown.
    pub(super) fn internal(error: &dyn std::fmt::Debug) -> Self {
        tracing::error!(?error, "the dashboard could not answer");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "The dashboard could not answer.",
            "The application's log says why.",
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let fields = error.fields().to_vec();
        Self { fields, ..Self::of(&error) }
    }
}

impl Problem {
    fn of(error: &Error) -> Self {
        let text = || error.to_string();
        match error.kind() {
            ErrorKind::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "Not found",
                text(),
                "It may have been deleted. Start from the list of runs.",
            ),
            ErrorKind::Conflict => Self::new(
                StatusCode::CONFLICT,
                "Not possible now",
                text(),
                "The run may have changed since you opened its page: look at it again.",
            ),
            // Past the start, what is set up wrong is a scope that names what the database does not have.
            ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Configuration => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Refused",
                text(),
                "Correct what the message names and try again.",
            ),
            ErrorKind::Database => {
                tracing::error!(?error, "the dashboard could not reach the database");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database did not answer",
                    "Nothing was changed, as far as this page can tell.",
                    "Wait a moment and reload. If it stays like this, the application's log says why.",
                )
            }
            _ => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
