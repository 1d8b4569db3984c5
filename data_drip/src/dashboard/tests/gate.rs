//! The gate: who gets in, from where, and under which mount.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, Path, State};
use axum::response::{Html, Redirect};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, header};

use super::fake::Fake;
use super::{Page, dashboard, decoded, get, send, who};
use crate::dashboard::{Access, Dashboard, api};
use crate::run::Backfiller;

/// Every route: method, path, and whether it takes the right to act.
const ROUTES: &[(&str, &str, bool)] = &[
    ("GET", "/", false),
    ("GET", "/backfills", false),
    ("GET", "/backfill_runs", false),
    ("POST", "/backfill_runs", true),
    ("GET", "/backfill_runs/live", false),
    ("GET", "/backfill_runs/new", true),
    ("POST", "/backfill_runs/preview", true),
    ("GET", "/workers", false),
    ("GET", "/workers/live", false),
    ("GET", "/backfill_runs/3", false),
    ("GET", "/backfill_runs/3/live", false),
    ("GET", "/backfill_runs/3/batches/1", false),
    ("GET", "/backfill_runs/3/stop", true),
    ("POST", "/backfill_runs/3/stop", true),
    ("GET", "/backfill_runs/3/pause", true),
    ("POST", "/backfill_runs/3/pause", true),
    ("GET", "/backfill_runs/3/resume", true),
    ("POST", "/backfill_runs/3/resume", true),
    ("GET", "/backfill_runs/3/retry_failed_batches", true),
    ("POST", "/backfill_runs/3/retry_failed_batches", true),
    ("GET", "/backfill_runs/3/delete", true),
    ("POST", "/backfill_runs/3/delete", true),
    // What is no route meets the gate as well.
    ("GET", "/nowhere", false),
    ("PUT", "/backfill_runs/3", true),
    ("DELETE", "/backfill_runs/3", true),
    ("PURGE", "/backfills", true),
];

#[test]
fn the_table_has_every_route() {
    let source = include_str!("../routes/mod.rs");
    let routes: Vec<_> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > 5, "{routes:?}");
    for route in routes {
        let path = route.replace("{id}", "3").replace("{position}", "1");
        assert!(ROUTES.iter().any(|(_, known, _)| *known == path), "{route} is not tried");
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::empty()).unwrap()
}

async fn ask(fake: &Arc<Fake>, method: &str, path: &str, headers: &[(&str, &str)]) -> Page {
    // A stream would go on for ever.
    fake.closing.cancel();
    send(dashboard(fake).router(who), request(method, path, headers)).await
}

fn untouched(fake: &Fake) -> bool {
    fake.acted.lock().unwrap().is_empty() && fake.created.lock().unwrap().is_empty()
}

#[tokio::test]
async fn nobody_gets_past_the_gate() {
    let fake = Arc::new(Fake::new());
    for (method, path, _) in ROUTES {
        let page = ask(&fake, method, path, &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{method} {path}");
        assert!(page.text().contains("You are not allowed to see"), "{method} {path}");
        assert!(!page.text().contains("recount_orders"), "{method} {path}");
    }
    assert!(untouched(&fake));
}

#[tokio::test]
async fn who_may_look_sees_no_action_and_is_refused_a_forged_one() {
    let fake = Arc::new(Fake::new());
    for (method, path, acts) in ROUTES {
        let page = ask(&fake, method, path, &[("x-access", "look")]).await;
        assert_eq!(page.status == StatusCode::FORBIDDEN, *acts, "{method} {path}: {}", page.status);
        if *acts {
            assert!(page.text().contains("You may look at backfills and runs"), "{method} {path}");
        }
        assert!(!page.html.contains("method=\"post\""), "{method} {path} offers an action");
        let html = decoded(&page.html);
        for link in ["/new", "/stop\"", "/pause\"", "/resume\"", "/retry_failed_batches\"", "/delete\"", "data-ask"] {
            assert!(!html.contains(link), "{method} {path} links to {link}");
        }
    }
    assert!(untouched(&fake));
}

/// In JSON as on pages, whatever shows rows or changes something takes the right to act.
#[tokio::test]
async fn who_may_look_reads_the_api_and_no_row_of_the_host() {
    let fake = Arc::new(Fake::new());
    for (method, route) in api::ROUTES {
        let path = route.replace("{id}", "3").replace("{position}", "1").replace("{name}", "recount_orders");
        let path = format!("{}{}", api::PREFIX, path.replace("{option}", "any"));
        let page = ask(&fake, &method.to_uppercase(), &path, &[("x-access", "look")]).await;
        let acts = *method != "get" || route.contains("/choices/");
        assert_eq!(page.status == StatusCode::FORBIDDEN, acts, "{method} {path}: {}", page.status);
        let page = ask(&fake, &method.to_uppercase(), &path, &[]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    assert!(untouched(&fake));
}

#[tokio::test]
async fn who_may_act_reaches_every_route() {
    let fake = Arc::new(Fake::new());
    for (method, path, _) in ROUTES {
        let page = ask(&fake, method, path, &[("x-access", "act")]).await;
        assert_ne!(page.status, StatusCode::FORBIDDEN, "{method} {path}");
        assert!(!page.status.is_server_error(), "{method} {path}: {}", page.status);
    }
    assert!(!untouched(&fake));
    assert!(get(&fake, "/backfill_runs/3").await.html.contains("data-ask"));
    assert!(get(&fake, "/backfill_runs/3/stop").await.html.contains("method=\"post\""));
}

#[tokio::test]
async fn what_another_site_sends_is_refused_before_anybody_is_asked() {
    let fake = Arc::new(Fake::new());
    let forged: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example"), ("host", "ours.example")],
        &[("origin", "null"), ("host", "ours.example")],
    ];
    for (method, path, _) in ROUTES.iter().filter(|(method, ..)| *method != "GET") {
        for headers in forged {
            let headers = [*headers, &[("x-access", "act")]].concat();
            let page = ask(&fake, method, path, &headers).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
            assert!(page.text().contains("came from another site"), "{}", page.text());
        }
    }
    assert!(untouched(&fake));
    // A link from elsewhere is no attack.
    let link = ask(&fake, "GET", "/backfill_runs", &[("x-access", "act"), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(link.status, StatusCode::OK);
    let ours = [("x-access", "act"), ("origin", "http://ours.example:3000"), ("host", "ours.example:3000")];
    assert_eq!(ask(&fake, "POST", "/backfill_runs/3/pause", &ours).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_stylesheet_needs_no_access_and_is_kept_for_ever() {
    let fake = Arc::new(Fake::new());
    let denied = ask(&fake, "GET", "/backfills", &[]).await;
    let html = decoded(&denied.html);
    for ending in ["dashboard.css", "dashboard.js", "icon.svg"] {
        let end = html.find(ending).unwrap() + ending.len();
        let path = html[..end].rsplit('"').next().unwrap();
        let asset = ask(&fake, "GET", path, &[]).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert!(asset.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert_eq!(asset.headers["x-content-type-options"], "nosniff");
    }
}

/// A host with state of its own, whose extractors need it.
#[derive(Clone)]
struct Host {
    operators: Operators,
}

#[derive(Clone)]
struct Operators(Vec<&'static str>);

impl FromRef<Host> for Operators {
    fn from_ref(host: &Host) -> Self {
        host.operators.clone()
    }
}

struct User(String);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Redirect;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Redirect> {
        let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
        name.map(|name| Self(name.to_owned())).ok_or_else(|| Redirect::to("/login"))
    }
}

async fn operator(State(Operators(operators)): State<Operators>, User(name): User) -> Result<Access, StatusCode> {
    match name.as_str() {
        "mallory" => Err(StatusCode::IM_A_TEAPOT),
        name if operators.contains(&name) => Ok(Access::Act(Backfiller::new(name, name))),
        name => Ok(Access::Look(Backfiller::new(name, name))),
    }
}

fn host(mounted: Router<Host>) -> Router {
    Router::<Host>::new()
        .merge(mounted)
        .route("/", axum::routing::get(async || Html("the host")))
        .with_state(Host { operators: Operators(vec!["ada"]) })
}

#[tokio::test]
async fn the_hosts_extractors_and_their_rejections_are_what_counts() {
    let fake = Arc::new(Fake::new());
    let ask = async |path: &str, user: &[(&str, &str)]| {
        let app = host(Router::new().nest("/data_drip", dashboard(&fake).router(operator)));
        send(app, request("GET", path, user)).await
    };
    let login = ask("/data_drip/backfills", &[]).await;
    assert_eq!((login.status, &login.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &"/login".parse().unwrap()));
    assert!(!login.headers.contains_key(header::CONTENT_SECURITY_POLICY), "the host's response is sent as it is");
    assert_eq!(ask("/data_drip/backfills", &[("x-user", "mallory")]).await.status, StatusCode::IM_A_TEAPOT);
    assert!(ask("/data_drip/backfills", &[("x-user", "bob")]).await.text().contains("read only"));
    let ada = ask("/data_drip/backfills", &[("x-user", "ada")]).await;
    assert!(ada.text().contains("New run"));
    assert!(ada.html.contains("ada"));
    assert_eq!(ask("/", &[]).await.html, "the host");
}

/// Signs in whoever a header names, as a session layer would, and marks what passed it.
async fn session(mut request: Request<Body>, next: axum::middleware::Next) -> axum::response::Response {
    if let Some(name) = request.headers().get("x-session").cloned() {
        request.extensions_mut().insert(Session(name.to_str().unwrap().to_owned()));
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-passed", "the session".parse().unwrap());
    response
}

#[derive(Clone)]
struct Session(String);

#[tokio::test]
async fn the_hosts_own_middleware_signs_in_and_sees_every_answer() {
    let fake = Arc::new(Fake::new());
    fake.closing.cancel();
    let who = async |Extension(Session(name)): Extension<Session>| Access::Act(Backfiller::new(name.clone(), name));
    let mounted = Router::new().nest("/ops/drip", dashboard(&fake).router(who));
    let app = host(mounted).layer(axum::middleware::from_fn(session));
    for (method, path, status) in [
        ("GET", "/ops/drip/backfill_runs", StatusCode::OK),
        ("GET", "/ops/drip/backfill_runs/3/live", StatusCode::OK),
        ("GET", "/ops/drip/api/v1/workers", StatusCode::OK),
        ("POST", "/ops/drip/backfill_runs/3/pause", StatusCode::SEE_OTHER),
        ("GET", "/ops/drip/nowhere", StatusCode::NOT_FOUND),
    ] {
        let page = send(app.clone(), request(method, path, &[("x-session", "ada")])).await;
        assert_eq!((page.status, &page.headers["x-passed"]), (status, &"the session".parse().unwrap()), "{path}");
        assert!(!page.html.contains("href=\"/backfill_runs"), "{path} leaves the mount");
    }
    assert_eq!(fake.acted.lock().unwrap()[0].2, Backfiller::new("ada", "ada"));
    // Without a session the host's own extractor refuses.
    let page = send(app, request("GET", "/ops/drip/backfill_runs", &[])).await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn links_follow_the_mount() {
    let fake = Arc::new(Fake::new());
    let anybody = |_: Parts| async { Access::Act(Backfiller::new(1, "Grace")) };
    let ours = || dashboard(&fake);
    let mounts: Vec<(Router<Host>, &str)> = vec![
        (ours().router(anybody), ""),
        (Router::new().nest("/data_drip", ours().router(anybody)), "/data_drip"),
        (Router::new().nest("/data_drip/", ours().router(anybody)), "/data_drip"),
        (Router::new().nest("/admin", Router::new().nest("/drip", ours().router(anybody))), "/admin/drip"),
        (ours().router_at("/{tenant}/drip", anybody), "/acme/drip"),
        (ours().router_at("/data_drip", anybody), "/data_drip"),
        (ours().router_at("/data_drip/", anybody), "/data_drip"),
        (Router::new().nest("/admin", ours().router_at("/drip", anybody)), "/admin/drip"),
        (
            Router::new()
                .nest_service("/data_drip", ours().router(anybody).with_state(Host { operators: Operators(vec![]) })),
            "/data_drip",
        ),
    ];
    for (router, mount) in mounts {
        let app = router.with_state(Host { operators: Operators(vec![]) });
        for path in ["/backfills", "/backfill_runs/3", "/backfill_runs/new?backfill=add_role_to_employee", "/nowhere"] {
            let page = send(app.clone(), request("GET", &format!("{mount}{path}"), &[])).await;
            assert!(!page.status.is_server_error(), "{mount}{path}");
            let html = decoded(&page.html);
            for attribute in ["href=\"", "src=\"", "action=\"", "data-live-url=\""] {
                for link in html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                    let inside = link.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
                    assert!(inside || link == "#main", "{mount}{path} links to {link}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_mount_itself_leads_to_the_runs() {
    let fake = Arc::new(Fake::new());
    let anybody = async || Access::Look(Backfiller::new(1, "Grace"));
    let nested = || Router::new().nest("/drip", dashboard(&fake).router(anybody));
    let merged = || dashboard(&fake).router_at("/drip", anybody);
    let root = || dashboard(&fake).router(anybody);
    let cases: Vec<(Router, &str, &str)> = vec![
        (nested(), "/drip", "/drip/backfill_runs"),
        (merged(), "/drip", "/drip/backfill_runs"),
        (merged(), "/drip/", "/drip/backfill_runs"),
        (Router::new().nest("/admin", merged()), "/admin/drip/", "/admin/drip/backfill_runs"),
        (root(), "/", "/backfill_runs"),
        (root(), "//evil.example/backfill_runs/", "/"),
    ];
    for (app, path, target) in cases {
        let page = send(app, request("GET", path, &[])).await;
        match page.headers.get(header::LOCATION) {
            Some(location) => assert_eq!(location, target, "{path}"),
            None => assert_eq!((page.status, target), (StatusCode::NOT_FOUND, "/"), "{path}"),
        }
    }
}

#[tokio::test]
async fn a_base_path_of_a_proxy_wins() {
    let fake = Arc::new(Fake::new());
    let dashboard: Dashboard = dashboard(&fake).base_path("/ops/data_drip/");
    let app: Router = Router::new().nest("/data_drip", dashboard.router(who));
    let page = send(app.clone(), request("GET", "/data_drip/backfills", &[("x-access", "act")])).await;
    assert!(decoded(&page.html).contains("href=\"/ops/data_drip/backfill_runs\""));
    let root = send(app, request("GET", "/data_drip", &[("x-access", "act")])).await;
    assert_eq!(root.headers[header::LOCATION], "/ops/data_drip/backfill_runs");
}

/// Up to eight extractors, closures, and functions that cannot fail.
#[test]
fn many_shapes_of_functions_can_say_who() {
    async fn none() -> Access {
        Access::Denied
    }
    async fn infallible(_: HeaderMap) -> Result<Access, Infallible> {
        Ok(Access::Denied)
    }
    type H = HeaderMap;
    #[expect(clippy::too_many_arguments, reason = "as many as are taken")]
    async fn eight(_: H, _: H, _: H, _: H, _: H, _: H, _: User, _: Path<String>) -> Result<Access, Redirect> {
        Err(Redirect::to("/"))
    }
    let fake = Arc::new(Fake::new());
    let captured = Backfiller::new(1, "Grace");
    let closure = move |_: Parts| {
        let captured = captured.clone();
        async move { Access::Act(captured) }
    };
    let _: Router = dashboard(&fake).router(none);
    let _: Router = dashboard(&fake).router(infallible);
    let _: Router = dashboard(&fake).router(eight);
    let _: Router = dashboard(&fake).router(closure);
}
