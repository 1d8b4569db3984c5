//! The embedded templates. One file per page, named as its route, and one per repeated piece.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::auth::Visitor;
use super::problem::Problem;
use super::{assets, format};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../ui/templates/", $name)))),*]
    };
}

const TEMPLATES: &[(&str, &str)] = embedded![
    "layout.html",
    "problem.html",
    "backfills/index.html",
    "backfill_runs/index.html",
    "backfill_runs/new.html",
    "backfill_runs/show.html",
    "backfill_runs/stop.html",
    "backfill_runs/pause.html",
    "backfill_runs/resume.html",
    "backfill_runs/retry_failed_batches.html",
    "backfill_runs/delete.html",
    "backfill_runs/batch.html",
    "pieces/actions.html",
    "pieces/backfill.html",
    "pieces/bar.html",
    "pieces/batches.html",
    "pieces/chart.html",
    "pieces/confirm.html",
    "pieces/error.html",
    "pieces/events.html",
    "pieces/field.html",
    "pieces/outcome.html",
    "pieces/log.html",
    "pieces/preview.html",
    "pieces/progress.html",
    "pieces/refresh.html",
    "pieces/run_row.html",
    "pieces/status.html",
    "pieces/time.html",
    "pieces/worker.html",
    "workers/index.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_global("assets", assets::FOLDER.as_str());
    environment.add_filter("visible", |text: &str| format::visible(text).into_owned());
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("a test parses every template");
    }
    environment
});

/// Renders a page for a visitor.
pub(super) fn html(template: &str, visitor: &Visitor, page: &impl Serialize) -> Result<String, Problem> {
    render(template, &visitor.base, Some(visitor), Value::from(Serde(page))).map_err(|error| Problem::internal(&error))
}

/// A page for a visitor.
pub(super) fn page(template: &str, visitor: &Visitor, page: &impl Serialize) -> Result<Response, Problem> {
    html(template, visitor, page).map(|html| Html(html).into_response())
}

/// Renders a refusal; `visitor` is absent when the gate let nobody in.
pub(super) fn problem_page(problem: Problem, base: &str, visitor: Option<&Visitor>) -> Response {
    #[derive(Serialize)]
    struct Page<'a> {
        status: u16,
        title: &'a str,
        text: &'a str,
        advice: &'a str,
        back: Option<(&'a str, &'a str)>,
    }
    let page = Page {
        status: problem.status.as_u16(),
        title: problem.title,
        text: &problem.text,
        advice: problem.advice,
        back: problem.back.as_deref().map(|(path, label)| (path.as_str(), label.as_str())),
    };
    match render("problem.html", base, visitor, Value::from(Serde(&page))) {
        Ok(html) => (problem.status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(?error, "the page of a problem could not be rendered");
            (problem.status, problem.text.into_owned()).into_response()
        }
    }
}

fn render(template: &str, base: &str, visitor: Option<&Visitor>, page: Value) -> Result<String, minijinja::Error> {
    ENVIRONMENT.get_template(template)?.render(context! {
        base,
        me => visitor.map(|visitor| visitor.backfiller.name.as_str()),
        my_id => visitor.map(|visitor| visitor.backfiller.id.as_str()),
        may_act => visitor.is_some_and(|visitor| visitor.may_act),
        page,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        assert_eq!(ENVIRONMENT.templates().count(), TEMPLATES.len());
    }

    /// The policy forbids inline styles and scripts; a browser would drop them silently.
    #[test]
    fn no_template_has_anything_inline() {
        for (name, source) in TEMPLATES {
            let source = source.to_ascii_lowercase();
            for forbidden in ["<style", "style=", "javascript:", "|safe", "| safe", "autoescape", "http:", "https:"] {
                assert!(!source.contains(forbidden), "{name} contains `{forbidden}`");
            }
            let scripts: Vec<_> = source.split("<script").skip(1).collect();
            let module = |rest: &&str| {
                rest.starts_with(" type=\"module\" src=\"{{ base }}{{ assets }}/dashboard.js\"></script>")
            };
            assert!(scripts.iter().all(module), "{name} has a script that is not the module");
            let handler = source.split([' ', '\n']).find(|word| word.starts_with("on") && word.contains('='));
            assert_eq!(handler, None, "{name} has an event handler");
        }
    }

    #[test]
    fn no_template_is_left_out() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/templates");
        let mut files = 0;
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
                assert!(TEMPLATES.iter().any(|(known, _)| *known == name), "{name} is not embedded");
                files += 1;
            }
        }
        assert_eq!(files, TEMPLATES.len());
    }
}
