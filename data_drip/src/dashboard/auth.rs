//! Who is looking: the host's answer, and what handlers are told of it.

use std::future::Future;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use super::problem::Problem;
use crate::backfill::BoxFuture;
use crate::run::Backfiller;

/// What the host lets the person behind a request do.
///
/// The dashboard trusts nothing else: it keeps no sessions, no passwords and no list of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing. They get a page that says so.
    Denied,
    /// See everything but masked options, change nothing.
    Look(Backfiller),
    /// See everything but masked options; start, stop, retry and delete runs. Their name is kept with what they do.
    Act(Backfiller),
}

/// A function of the host that says who is asking and what they may do.
///
/// Implemented for every `async fn` (and closure that returns a future) of up to eight extractors, each a
/// [`FromRequestParts`] of the host's state `S`, that returns an [`Access`] or a `Result<Access, impl IntoResponse>`.
/// An extractor's rejection (a redirect to the login page, say) is the response.
///
/// ```
/// use data_drip::{Backfiller, dashboard::Access};
/// use axum::http::HeaderMap;
///
/// async fn who(headers: HeaderMap) -> Access {
///     match headers.get("x-user").and_then(|name| name.to_str().ok()) {
///         Some("root") => Access::Act(Backfiller::new(0, "root")),
///         Some(name) => Access::Look(Backfiller::new(name, name)),
///         None => Access::Denied,
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell the dashboard who is asking",
    label = "not a function from extractors to `Access`",
    note = "it must be an `async fn` of up to eight `FromRequestParts` extractors of the host's state",
    note = "and return `Access` or `Result<Access, impl IntoResponse>`"
)]
pub trait Who<T, S>: Clone + Send + Sync + 'static {
    /// Asks the host; `Err` is the response that it wants to be sent instead of the dashboard.
    fn ask(self, parts: Parts, state: S) -> BoxFuture<'static, Result<Access, Response>>;
}

/// What a [`Who`] function may return.
pub trait IntoAccess {
    /// The access, or the response to send instead.
    ///
    /// # Errors
    /// What the host returned as its refusal.
    #[expect(clippy::result_large_err, reason = "a response is what a refusal is in axum")]
    fn into_access(self) -> Result<Access, Response>;
}

impl IntoAccess for Access {
    fn into_access(self) -> Result<Access, Response> {
        Ok(self)
    }
}

impl<E: IntoResponse> IntoAccess for Result<Access, E> {
    fn into_access(self) -> Result<Access, Response> {
        self.map_err(IntoResponse::into_response)
    }
}

macro_rules! who_for_functions {
    ($($extractor:ident)*) => {
        impl<F, Fut, Out, S, $($extractor,)*> Who<($($extractor,)*), S> for F
        where
            F: Fn($($extractor,)*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Out> + Send,
            Out: IntoAccess,
            S: Send + Sync + 'static,
            $($extractor: FromRequestParts<S> + Send,)*
        {
            #[allow(non_snake_case, unused_mut, unused_variables, reason = "a function without extractors reads nothing")]
            fn ask(self, mut parts: Parts, state: S) -> BoxFuture<'static, Result<Access, Response>> {
                Box::pin(async move {
                    $(let $extractor = $extractor::from_request_parts(&mut parts, &state)
                        .await
                        .map_err(IntoResponse::into_response)?;)*
                    self($($extractor,)*).await.into_access()
                })
            }
        }
    };
}

who_for_functions!();
who_for_functions!(A);
who_for_functions!(A B);
who_for_functions!(A B C);
who_for_functions!(A B C D);
who_for_functions!(A B C D E);
who_for_functions!(A B C D E G);
who_for_functions!(A B C D E G H);
who_for_functions!(A B C D E G H I);

/// The person whom the gate let in, and where the dashboard is mounted for them. Every handler asks for it.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// What links start with: the mount without a trailing slash, empty at the root.
    pub(super) base: Arc<str>,
    pub(super) backfiller: Backfiller,
    pub(super) may_act: bool,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(Problem::denied)
    }
}

/// A visitor who may act; handlers that change something, or show the form for it, ask for this one.
#[derive(Clone, Debug)]
pub(super) struct Actor(pub(super) Visitor);

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        if visitor.may_act { Ok(Self(visitor)) } else { Err(Problem::read_only()) }
    }
}
