//! The JSON API against its own description, both ways.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};

use super::fake::{Fake, HOSTILE, refused_fields};
use super::{Page, dashboard, send, who};
use crate::dashboard::api::{PREFIX, ROUTES};

fn described() -> Value {
    serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/openapi.json"))).unwrap()
}

async fn call(fake: &Arc<Fake>, method: &str, path: &str, body: Option<&Value>) -> Page {
    let mut request = Request::builder().method(method).uri(format!("{PREFIX}{path}")).header("x-access", "act");
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    send(dashboard(fake).router(who), request.body(body).unwrap()).await
}

fn json_of(page: &Page) -> Value {
    serde_json::from_str(&page.html).unwrap_or_else(|error| panic!("{error}: {}", page.html))
}

#[test]
fn routes_and_description_name_the_same_operations() {
    let routes: BTreeSet<_> = ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
    let description = described();
    let described: BTreeSet<_> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(routes, described);
}

/// What of `value` does not fit `schema`; knows what the description uses.
fn misfit(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return misfit(root, root.pointer(&name[1..])?, value, at);
    }
    if let Some(any) = schema.get("oneOf").and_then(Value::as_array) {
        let misfits: Vec<_> = any.iter().map(|schema| misfit(root, schema, value, at)).collect();
        return if misfits.iter().any(Option::is_none) { None } else { misfits.into_iter().flatten().next() };
    }
    let kinds: Vec<&str> = match schema.get("type") {
        None => return None,
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(kind) => vec![kind.as_str()?],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wider = kind == "integer" && kinds.contains(&"number");
    if !kinds.contains(&kind) && !wider {
        return Some(format!("{at} is {value}, not {kinds:?}"));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.contains(value)
    {
        return Some(format!("{at} is {value}, which is not listed"));
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| misfit(root, &schema["items"], item, &format!("{at}[]")));
    }
    let object = value.as_object()?;
    if schema["additionalProperties"] == json!(true) {
        return None;
    }
    let properties = schema["properties"].as_object()?;
    let missing =
        schema["required"].as_array()?.iter().filter_map(Value::as_str).find(|name| !object.contains_key(*name));
    if let Some(missing) = missing {
        return Some(format!("{at} lacks {missing}"));
    }
    object.iter().find_map(|(name, value)| match properties.get(name) {
        Some(schema) => misfit(root, schema, value, &format!("{at}.{name}")),
        None => Some(format!("{at} has {name}, which is not described")),
    })
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let description = described();
    let fake = Arc::new(Fake::new());
    for (method, path) in ROUTES {
        let operation = &description["paths"][*path][*method];
        let body = operation.pointer("/requestBody/required").is_some_and(|required| *required == json!(true));
        let body = body.then(|| json!({ "backfill": "recount_orders" }));
        let address = path
            .replace("{id}", "3")
            .replace("{position}", "1")
            .replace("{name}", "add_role_to_employee")
            .replace("{option}", "department");
        let page = call(&fake, &method.to_uppercase(), &address, body.as_ref()).await;
        let status = page.status.as_u16().to_string();
        let answer = &operation["responses"][status.as_str()];
        assert!(answer.is_object(), "{method} {path}: {status} {}", page.html);
        match answer.pointer("/content/application~1json/schema") {
            Some(schema) => {
                assert_eq!(page.headers[header::CONTENT_TYPE], "application/json", "{method} {path}");
                assert_eq!(misfit(&description, schema, &json_of(&page), path), None);
            }
            None => assert!(page.html.is_empty(), "{method} {path}"),
        }
        assert!(!page.html.contains("s3cret"), "{method} {path} tells a masked option");
    }
}

#[tokio::test]
async fn lists_are_paged_by_what_the_last_page_said() {
    let fake = Arc::new(Fake::new());
    let (mut seen, mut next) = (Vec::new(), None);
    loop {
        let before = next.map_or_else(String::new, |next: i64| format!("&before={next}"));
        let page = json_of(&call(&fake, "GET", &format!("/backfill_runs?limit=15{before}"), None).await);
        seen.extend(page["items"].as_array().unwrap().iter().map(|run| run["id"].as_i64().unwrap()));
        next = page["next"].as_i64();
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=40).rev().collect::<Vec<_>>());
}

/// Method, path, body; status and fields of the refusal.
type Try = (&'static str, &'static str, Option<Value>, u16, &'static [&'static str]);

#[tokio::test]
async fn refusals_are_problems_with_the_fields() {
    let description = described();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let fake = Arc::new(Fake { refuse: Some(refused_fields), ..Fake::new() });
    let asked = json!({ "backfill": "add_role_to_employee", "options": { "age": HOSTILE } });
    let tries: &[Try] = &[
        ("POST", "/backfill_runs", Some(asked.clone()), 422, &["age", "token", "nonsense"]),
        ("POST", "/backfill_runs", Some(json!({ "backfil": "x" })), 422, &["backfill", "backfil"]),
        (
            "POST",
            "/backfill_runs",
            Some(json!({ "backfill": 7, "batch_size": "1", "sleep_ms": -1 })),
            422,
            &["backfill"],
        ),
        ("POST", "/backfill_runs", Some(json!([])), 400, &[]),
        ("POST", "/backfill_runs/3/pause", Some(json!({ "now": true })), 422, &["now"]),
        ("POST", "/backfill_runs/3/stop", Some(json!({ "now": "yes" })), 422, &["now"]),
        ("DELETE", "/backfill_runs/3", Some(json!({ "force": true })), 422, &["force"]),
        ("GET", "/backfill_runs/99", None, 404, &[]),
        ("GET", "/backfill_runs/x", None, 404, &[]),
        ("GET", "/backfill_runs/3/batches/999", None, 404, &[]),
        ("GET", "/backfills/nonesuch", None, 404, &[]),
        ("GET", "/backfill_runs?page=2", None, 400, &[]),
        ("GET", "/backfill_runs?limit=0", None, 400, &[]),
        ("GET", "/backfill_runs?limit=501", None, 400, &[]),
        ("GET", "/backfill_runs?status=done", None, 400, &[]),
        ("GET", "/workers?x=1", None, 400, &[]),
        ("GET", "/backfill_runs/99/throughput", None, 404, &[]),
        ("GET", "/backfill_runs/99/durations", None, 404, &[]),
        ("GET", "/nowhere", None, 404, &[]),
        ("PUT", "/backfill_runs/3", None, 405, &[]),
        ("POST", "/backfill_runs/5/stop", None, 409, &[]),
    ];
    for (method, path, body, status, fields) in tries {
        let page = call(&fake, method, path, body.as_ref()).await;
        assert_eq!(page.status.as_u16(), *status, "{method} {path}: {}", page.html);
        assert_eq!(page.headers[header::CONTENT_TYPE], "application/problem+json", "{method} {path}");
        let problem = json_of(&page);
        assert_eq!(misfit(&description, &schema, &problem, path), None);
        let named: Vec<_> = problem["fields"].as_array().unwrap().iter().map(|field| field["field"].clone()).collect();
        for field in *fields {
            assert!(named.contains(&json!(field)), "{method} {path}: {field} is not among {named:?}");
        }
    }
    assert!(fake.created.lock().unwrap().is_empty());
    let down = Arc::new(Fake { down: true.into(), ..Fake::new() });
    let page = call(&down, "GET", "/backfill_runs", None).await;
    assert_eq!(
        (page.status, page.headers[header::CONTENT_TYPE].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"application/problem+json"[..])
    );
}

/// What the page of a run draws is told, too, with the same range of the remaining time.
#[tokio::test]
async fn the_rate_and_the_durations_of_a_run_are_told() {
    let fake = Arc::new(Fake::new());
    let told = json_of(&call(&fake, "GET", "/backfill_runs/3/throughput", None).await);
    assert_eq!((&told["width_ms"], told["slices"].as_array().unwrap().len()), (&json!(10_000), 30));
    assert_eq!(told["slices"][1]["processed"], 10_500);
    let moment = |at: &Value| at.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let apart = moment(&told["slices"][1]["begins_at"]) - moment(&told["slices"][0]["begins_at"]);
    assert_eq!(apart, chrono::TimeDelta::seconds(10));
    let not_begun = json_of(&call(&fake, "GET", "/backfill_runs/1/throughput", None).await);
    assert_eq!((&not_begun["width_ms"], &not_begun["slices"]), (&json!(null), &json!([])));
    let durations = json_of(&call(&fake, "GET", "/backfill_runs/3/durations", None).await);
    assert_eq!(durations["items"][0], json!({ "position": 100, "took_ms": 800, "processed": 997 }));
    let choices = json_of(&call(&fake, "GET", "/backfills/add_role_to_employee/choices/department", None).await);
    assert_eq!((&choices["only_these"], &choices["items"][0]["value"]), (&json!(true), &json!("Sales")));
    let missing = call(&fake, "GET", "/backfills/add_role_to_employee/choices/nonesuch", None).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_run_is_asked_for_with_everything_that_it_takes() {
    let fake = Arc::new(Fake::new());
    let asked = json!({
        "backfill": "add_role_to_employee", "options": { "department": "Sales", "teams": ["later"] }, "batch_size": 7,
        "limit": 70, "sleep_ms": 1500, "queue": "slow", "start_at": "2026-02-01T10:00:00+01:00",
    });
    let page = call(&fake, "POST", "/backfill_runs", Some(&asked)).await;
    assert_eq!(page.status, StatusCode::CREATED);
    assert_eq!(page.headers[header::LOCATION], "/api/v1/backfill_runs/7");
    let created = fake.created.lock().unwrap();
    let new = &created[0];
    assert_eq!((new.batch_size, new.limit, new.queue.as_deref()), (Some(7), Some(70), Some("slow")));
    assert_eq!(new.sleep, Some(std::time::Duration::from_millis(1_500)));
    assert_eq!(new.start_at.unwrap().to_rfc3339(), "2026-02-01T09:00:00+00:00");
    assert_eq!(new.options["teams"], crate::options::Raw::Json(json!(["later"])));
}
