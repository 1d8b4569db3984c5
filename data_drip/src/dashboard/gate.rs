//! The one gate in front of every page: same origin, who, what they may do; then the inner router, then the headers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{NestedPath, OriginalUri, Request};
use axum::response::Response;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_service::Service;

use super::auth::{Access, Visitor};
use super::problem::Problem;
use super::{api, assets, templates};
use crate::backfill::BoxFuture;

/// The host's function, with its extractors' types erased.
pub(super) type Ask<S> = Arc<dyn Fn(Parts, S) -> BoxFuture<'static, Result<Access, Response>> + Send + Sync>;

/// Stands before `pages`, so that no route can forget to ask.
pub(super) struct Gate<S> {
    pub(super) ask: Ask<S>,
    pub(super) pages: Router,
    /// What links start with, when a proxy rewrites paths; else it is read off the request.
    pub(super) base_path: Option<Arc<str>>,
}

impl<S> Clone for Gate<S> {
    fn clone(&self) -> Self {
        Self { ask: Arc::clone(&self.ask), pages: self.pages.clone(), base_path: self.base_path.clone() }
    }
}

impl<S> Gate<S> {
    pub(super) async fn pass(self, state: S, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let base = self.base_path.clone().unwrap_or_else(|| mount_of(&parts).into());
        if let Some(asset) = assets::serve(parts.uri.path()) {
            return with_headers(asset);
        }
        let json = api::is_api(parts.uri.path());
        let finish = |problem: Problem, base: &str, visitor: Option<&Visitor>| {
            with_headers(if json { problem.json() } else { templates::problem_page(problem, base, visitor) })
        };
        let unsafe_method = !matches!(parts.method, Method::GET | Method::HEAD);
        if unsafe_method && !is_same_origin(&parts) {
            return finish(Problem::cross_site(), &base, None);
        }

        let inner = bare(&parts, body);
        let visitor = match (self.ask)(parts, state).await {
            Err(response) => return response,
            Ok(Access::Denied) => return finish(Problem::denied(), &base, None),
            Ok(Access::Look(backfiller)) => Visitor { base, backfiller, may_act: false },
            Ok(Access::Act(backfiller)) => Visitor { base, backfiller, may_act: true },
        };
        if unsafe_method && !visitor.may_act {
            let base = Arc::clone(&visitor.base);
            return finish(Problem::read_only(), &base, Some(&visitor));
        }

        let mut request = inner;
        request.extensions_mut().insert(visitor.clone());
        let mut pages = self.pages;
        let Ok(mut response) = pages.call(request).await;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            return finish(problem, &visitor.base, Some(&visitor));
        }
        // Streams come with a weaker one.
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        with_headers(response)
    }
}

/// The request without the host's extensions: its path parameters (`/{tenant}/data_drip`) are not ours, and nothing
/// that the host put there can be mistaken for what the gate found out.
fn bare(parts: &Parts, body: Body) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    *request.extensions_mut() = Extensions::new();
    request
}

/// The path that the dashboard is mounted at: what the browser asked for, without what is left of it here.
///
/// [`NestedPath`] alone would give `/{tenant}/data_drip` with its braces.
fn mount_of(parts: &Parts) -> String {
    let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    let here = parts.uri.path();
    let mount = match original.path().strip_suffix(here) {
        Some(mount) => mount,
        // A mount without trailing slash is `/` in here.
        None if here == "/" => original.path(),
        None => parts.extensions.get().map_or("", NestedPath::as_str),
    };
    clean_base(mount)
}

/// One leading slash, so that a link is never taken for another host's (`//evil.example`); none at the end.
pub(super) fn clean_base(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// `path` in place of the request's, query kept.
pub(super) fn with_path(uri: &Uri, path: &str) -> Uri {
    let mut parts = uri.clone().into_parts();
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    parts.path_and_query = PathAndQuery::try_from(path_and_query).ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// Whether a page of ours sent this, as far as browsers tell: without sessions of our own, there is no token to check.
///
/// `Sec-Fetch-Site` says it outright, but only over https and on localhost; `Origin` accompanies every browser's POST.
/// A request with neither comes from no browser, so nobody's cookies are abused.
fn is_same_origin(parts: &Parts) -> bool {
    let text = |name: HeaderName| parts.headers.get(name).map(HeaderValue::to_str);
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, Ok("same-origin" | "none"));
    }
    match text(header::ORIGIN) {
        None => true,
        Some(Ok(origin)) => {
            // `null`, which a sandboxed frame sends, has no scheme.
            let origin = origin.parse::<Uri>().ok().filter(|origin| origin.scheme().is_some());
            let origin = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
            origin.is_some() && origin == host(&parts.headers, &parts.uri).as_deref()
        }
        Some(Err(_)) => false,
    }
}

/// `Host`, or the authority that takes its place in HTTP/2; lower case, as browsers send it.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    match headers.get(header::HOST) {
        Some(host) => host.to_str().ok().map(str::to_ascii_lowercase),
        None => uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()),
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Nothing from elsewhere, nothing inline, in nobody's frame. Refuses more than the pages need, on purpose.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: that makes browsers send `Origin: null` with our own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post("/backfill_runs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_unsafe_request_must_come_from_a_page_of_ours() {
        let refused: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://ours.example"), ("host", "ours.example")],
            &[("origin", "https://evil.example"), ("host", "ours.example")],
            &[("origin", "https://ours.example:8443"), ("host", "ours.example")],
            &[("origin", "https://ours.example.evil.example"), ("host", "ours.example")],
            &[("origin", "null"), ("host", "ours.example")],
            &[("origin", "null"), ("host", "null")],
            &[("origin", "https://ours.example")],
            &[("origin", ""), ("host", "")],
        ];
        for headers in refused {
            assert!(!is_same_origin(&post(headers)), "{headers:?}");
        }
        let allowed: &[&[(&str, &str)]] = &[
            &[],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://ours.example"), ("host", "ours.example")],
            &[("origin", "http://ours.example:3000"), ("host", "Ours.example:3000")],
            &[("origin", "http://[::1]:3000"), ("host", "[::1]:3000")],
        ];
        for headers in allowed {
            assert!(is_same_origin(&post(headers)), "{headers:?}");
        }
    }

    #[test]
    fn the_mount_is_what_the_path_lost_on_its_way_in() {
        let mount = |original: &str, here: &str| {
            let mut parts = http::Request::get(here).body(()).unwrap().into_parts().0;
            parts.extensions.insert(OriginalUri(original.parse().unwrap()));
            mount_of(&parts)
        };
        assert_eq!(mount("/data_drip/backfills", "/backfills"), "/data_drip");
        assert_eq!(mount("/acme/data_drip/backfills?x=1", "/backfills?x=1"), "/acme/data_drip");
        assert_eq!(mount("/data_drip", "/"), "/data_drip");
        assert_eq!(mount("/data_drip/", "/"), "/data_drip");
        assert_eq!(mount("/backfills", "/backfills"), "");
        assert_eq!(mount("/", "/"), "");
        assert_eq!(mount("//evil.example/backfills", "/backfills"), "/evil.example");
    }
}
