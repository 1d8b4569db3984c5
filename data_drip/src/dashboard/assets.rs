//! The stylesheet, the module and the icon: embedded, named by a hash of their content, kept by browsers for ever.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

const CSS: &str = include_str!("../../../ui/static/dashboard.css");
const JS: &str = include_str!("../../../ui/static/dashboard.js");
const ICON: &str = include_str!("../../../ui/static/icon.svg");

/// The folder that all assets are served from: `/static/{hash}`.
pub(super) static FOLDER: LazyLock<String> = LazyLock::new(|| format!("/static/{:016x}", fnv1a(&[CSS, JS, ICON])));

/// Serves `/static/…`; `None` for any other path.
///
/// Asked before the gate: a refusal's page needs its stylesheet too, and there is nothing secret in it.
pub(super) fn serve(path: &str) -> Option<Response> {
    let (hash, name) = path.strip_prefix("/static/")?.split_once('/')?;
    let (content_type, body) = match name {
        "dashboard.css" => ("text/css; charset=utf-8", CSS),
        "dashboard.js" => ("text/javascript; charset=utf-8", JS),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Some(StatusCode::NOT_FOUND.into_response()),
    };
    // During a rolling deploy a page of one version may ask another: answer it, but not for ever.
    let ours = FOLDER.strip_prefix("/static/") == Some(hash);
    let cache = if ours { "public, max-age=31536000, immutable" } else { "no-cache" };
    Some(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache)], body).into_response())
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): names content, protects nothing.
fn fnv1a(texts: &[&str]) -> u64 {
    texts
        .iter()
        .flat_map(|text| text.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(&["a"]), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(&["foo", "bar"]), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn only_the_current_hash_is_immutable() {
        let cache = |path: &str| serve(path).unwrap().headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned();
        assert!(cache(&format!("{}/dashboard.css", *FOLDER)).contains("immutable"));
        assert_eq!(cache("/static/0/dashboard.css"), "no-cache");
        assert_eq!(serve("/static/0/../secret").unwrap().status(), StatusCode::NOT_FOUND);
        assert!(serve("/backfills").is_none());
    }
}
