//! "Did you mean …?"

/// The name that `wrong` was probably meant to be: a third of its letters away at most, two where it is short.
pub(crate) fn did_you_mean<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters = wrong.chars().count();
    let allowed = (letters / 3).max(if letters > 3 { 2 } else { 1 });
    known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's: insertions, deletions and replacements from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_proposed_and_a_far_one_is_not() {
        let known = ["department", "age", "active_only"];
        assert_eq!(did_you_mean("departement", &known), Some("department"));
        assert_eq!(did_you_mean("agee", &known), Some("age"));
        assert_eq!(did_you_mean("gae", &known), None);
        assert_eq!(did_you_mean("salary", &known), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}
