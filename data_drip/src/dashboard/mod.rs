//! The dashboard: pages inside the host application to start, watch, steer and understand runs.
//!
//! It is an axum [`Router`] that the host mounts, and the host says who may see it:
//!
//! ```
//! use axum::{Extension, Router};
//! use data_drip::{Backfiller, dashboard::Access};
//! # use data_drip::{DataDrip, backend::Backend};
//! # #[derive(Clone)] struct CurrentUser { id: i64, name: String, role: Role }
//! # #[derive(Clone)] enum Role { Operator, Support, Customer }
//!
//! async fn who(Extension(user): Extension<CurrentUser>) -> Access {   // any extractors of the host's own
//!     match user.role {
//!         Role::Operator => Access::Act(Backfiller::new(user.id, user.name)),
//!         Role::Support => Access::Look(Backfiller::new(user.id, user.name)),
//!         Role::Customer => Access::Denied,
//!     }
//! }
//!
//! # fn host<DB: Backend>(drip: &DataDrip<DB>) -> Router {
//! let app = Router::new().nest("/data_drip", drip.dashboard(who));
//! # app
//! # }
//! ```
//!
//! # Where to mount it
//! - `.nest("/data_drip", drip.dashboard(who))`, at any depth.
//! - `.merge(drip.dashboard_at("/data_drip", who))` answers `/data_drip/` as well, which axum does not hand to nested
//!   routers, and takes path parameters: `/{tenant}/data_drip`.
//! - `.nest_service("/data_drip", drip.dashboard(who).with_state(state))` does both, too.
//! - `drip.dashboard(who)` alone is a whole application, or the fallback of one it is merged into.
//! - behind a proxy that changes paths: [`Dashboard::base_path`].
//!
//! # What it promises
//! There is one gate: every request but those for the stylesheet passes the host's function before it reaches a page,
//! and whoever may only look is refused every unsafe method there. Unsafe methods are also refused to what browsers send
//! from other sites; a link leads here from anywhere. Pages need no JavaScript, load nothing from elsewhere and say so in
//! their `Content-Security-Policy`. Masked options are never sent.
//!
//! # The API
//! The same reads and actions are JSON under `api/v1`, described by the file served at `api/v1/openapi.json`.
//!
//! With JavaScript, lists and runs follow what happens over server-sent events: the database is asked once per second what
//! has changed, in one statement, whatever is watched and however many people watch it, and not at all when nobody does;
//! a page is loaded when something on it has changed. The streams end when the host shuts down with
//! [`Worker::shutdown_on`](crate::Worker::shutdown_on), in a process without a worker with [`DataDrip::end_streams_on`].

mod api;
mod assets;
mod auth;
mod chart;
mod engine;
mod forecast;
mod form;
mod format;
mod gate;
mod live;
mod page;
mod problem;
mod routes;
mod templates;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;

pub use self::auth::{Access, IntoAccess, Who};
use self::engine::Engine;
use self::gate::{Gate, clean_base, with_path};
use self::live::Hub;
use crate::api::DataDrip;
use crate::backend::Backend;

/// What the pages' handlers share.
#[derive(Clone)]
struct App {
    engine: Arc<dyn Engine>,
    hub: Arc<Hub>,
}

impl App {
    fn new(engine: Arc<dyn Engine>) -> Self {
        Self { hub: Hub::new(Arc::clone(&engine)), engine }
    }
}

impl Deref for App {
    type Target = dyn Engine;

    fn deref(&self) -> &(dyn Engine + 'static) {
        &*self.engine
    }
}

impl<DB: Backend> DataDrip<DB> {
    /// The dashboard, to be nested into the host's router; `who` says who is asking and what they may do.
    ///
    /// See [the module](crate::dashboard) for where and how to mount it.
    pub fn dashboard<T, S, W>(&self, who: W) -> Router<S>
    where
        W: Who<T, S>,
        S: Clone + Send + Sync + 'static,
    {
        Dashboard::new(self).router(who)
    }

    /// Resolves when `signal` has, and ends the event streams of open pages: what axum's `with_graceful_shutdown` takes in
    /// a process without a worker. Otherwise an open page would hold the shutdown for as long as somebody watches it.
    ///
    /// A worker does this itself, in [`Worker::shutdown_on`](crate::Worker::shutdown_on).
    ///
    /// ```
    /// # use axum::Router;
    /// # use data_drip::{DataDrip, backend::Backend};
    /// # async fn host<DB: Backend>(drip: DataDrip<DB>, listener: tokio::net::TcpListener, app: Router) -> std::io::Result<()> {
    /// let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    /// axum::serve(listener, app).with_graceful_shutdown(drip.end_streams_on(ctrl_c)).await
    /// # }
    /// ```
    pub fn end_streams_on<F>(&self, signal: F) -> impl Future<Output = ()> + Send + use<DB, F>
    where
        F: Future<Output = ()> + Send,
    {
        let closing = self.core.signals.closing.clone();
        async move {
            signal.await;
            closing.cancel();
        }
    }

    /// The dashboard mounted at `path`, to be merged into the host's router; answers with and without trailing slash.
    ///
    /// # Panics
    /// When axum does not take `path`, at start-up: it must begin with a slash and not be the root.
    pub fn dashboard_at<T, S, W>(&self, path: &str, who: W) -> Router<S>
    where
        W: Who<T, S>,
        S: Clone + Send + Sync + 'static,
    {
        Dashboard::new(self).router_at(path, who)
    }
}

/// The dashboard with settings; [`DataDrip::dashboard`] is the one without.
///
/// ```
/// # use axum::Router;
/// # use data_drip::{DataDrip, backend::Backend, dashboard::{Access, Dashboard}};
/// # async fn who() -> Access { Access::Denied }
/// # fn host<DB: Backend>(drip: &DataDrip<DB>) -> Router {
/// // A proxy serves us under /ops and takes that away before it passes requests on.
/// let pages = Dashboard::new(drip).base_path("/ops/data_drip").router(who);
/// Router::new().nest("/data_drip", pages)
/// # }
/// ```
#[derive(Clone)]
pub struct Dashboard {
    app: App,
    base_path: Option<Arc<str>>,
}

impl Dashboard {
    /// The dashboard of `drip`.
    pub fn new<DB: Backend>(drip: &DataDrip<DB>) -> Self {
        Self { app: App::new(Arc::new(drip.clone())), base_path: None }
    }

    /// The mount as browsers see it, where a proxy in front rewrites paths; otherwise it is read off each request.
    #[must_use]
    pub fn base_path(mut self, path: &str) -> Self {
        self.base_path = Some(clean_base(path).into());
        self
    }

    /// The router to nest; see [`DataDrip::dashboard`].
    pub fn router<T, S, W>(&self, who: W) -> Router<S>
    where
        W: Who<T, S>,
        S: Clone + Send + Sync + 'static,
    {
        let gate = self.gate(who);
        Router::new()
            .fallback(move |State(state): State<S>, request: Request| async move { gate.pass(state, request).await })
    }

    /// The router to merge; see [`DataDrip::dashboard_at`].
    ///
    /// # Panics
    /// When axum does not take `path`, at start-up: it must begin with a slash and not be the root.
    pub fn router_at<T, S, W>(&self, path: &str, who: W) -> Router<S>
    where
        W: Who<T, S>,
        S: Clone + Send + Sync + 'static,
    {
        let path = path.trim_end_matches('/');
        let gate = self.gate(who);
        let slash = gate.clone();
        let with_slash = any(move |State(state): State<S>, mut request: Request| async move {
            *request.uri_mut() = with_path(request.uri(), "/");
            slash.pass(state, request).await
        });
        let pages = any(move |State(state): State<S>, request: Request| async move { gate.pass(state, request).await });
        // Routes instead of a fallback: axum's own catch-all leaves no room for one below `/{tenant}`.
        let mounted = Router::new().route("/", pages.clone()).route("/{*path}", pages);
        Router::new().nest(path, mounted).route(&format!("{path}/"), with_slash)
    }

    fn gate<T, S, W>(&self, who: W) -> Gate<S>
    where
        W: Who<T, S>,
    {
        Gate {
            ask: Arc::new(move |parts, state| who.clone().ask(parts, state)),
            pages: routes::pages(self.app.clone()),
            base_path: self.base_path.clone(),
        }
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("base_path", &self.base_path).finish_non_exhaustive()
    }
}
