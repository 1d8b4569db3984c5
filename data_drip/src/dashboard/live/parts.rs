//! The parts of a page that change: what stands between `<!--live name-->` and `<!--/live-->` in its HTML, so that a
//! page and its updates cannot differ. Text of users is escaped, so none of it can be taken for a mark.

use serde::Serialize;

const BEGIN: &str = "<!--live ";
const MARK: &str = "-->";
const END: &str = "<!--/live-->";

/// The live parts of one page, in its order.
pub(super) type Parts = Vec<Part>;

/// The inside of the element with this id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: String,
}

/// Cuts the live parts out of a page. They do not nest.
pub(super) fn parts(page: &str) -> Parts {
    page.split(BEGIN)
        .skip(1)
        .filter_map(|rest| {
            let (id, rest) = rest.split_once(MARK)?;
            let (html, _) = rest.split_once(END)?;
            Some(Part { id: id.to_owned(), html: html.to_owned() })
        })
        .collect()
}

/// Those of `now` that are not the same as before.
pub(super) fn changed<'a>(before: &[Part], now: &'a [Part]) -> Vec<&'a Part> {
    now.iter().filter(|part| !before.contains(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_stands_between_the_marks_and_only_changed_ones_are_told() {
        let page =
            |rows: &str| format!("<p><!--live a-->1<b>2</b><!--/live--></p><i><!--live b-->{rows}<!--/live--></i>");
        let before = parts(&page("0"));
        assert_eq!(before[0], Part { id: "a".into(), html: "1<b>2</b>".into() });
        let now = parts(&page("5"));
        assert_eq!(changed(&before, &now), [&Part { id: "b".into(), html: "5".into() }]);
        assert!(changed(&now, &now).is_empty());
        assert!(parts("<!--live broken").is_empty());
    }
}
