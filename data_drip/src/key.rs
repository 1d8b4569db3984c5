//! Keys as the database rendered them. Nothing here compares, parses or reformats one: only the database does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The key of one row: a part per key column, in the order of the key.
///
/// Stored as JSON in the planner's cursor and in the range of each batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub(crate) Vec<KeyPart>);

/// One column of a key: the text that the database rendered and the type to bind it back with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyPart {
    /// The type: SQLite's storage class, the catalogue's column type elsewhere.
    #[serde(rename = "t")]
    pub(crate) tag: String,
    /// The value as the database printed it; bytes as upper-case hexadecimal.
    #[serde(rename = "v")]
    pub(crate) text: String,
}

impl Key {
    /// The rendered values, one per key column.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|part| part.text.as_str())
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings serialise")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.values().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(value)?;
        }
        Ok(())
    }
}

/// The rows of a batch: keys greater than `after` (from the beginning without one) and not greater than `upto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Exclusive lower bound; `None` begins at the least key.
    pub after: Option<Key>,
    /// Inclusive upper bound.
    pub upto: Key,
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            Some(after) => write!(f, "({after}) … ({}]", self.upto),
            None => write!(f, "… ({}]", self.upto),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_storage_to_the_letter() {
        let key = Key(vec![
            KeyPart { tag: "text".into(), text: "é\"'\\ \u{0}%".into() },
            KeyPart { tag: "integer".into(), text: i64::MIN.to_string() },
        ]);
        assert_eq!(serde_json::from_str::<Key>(&key.to_json()).unwrap(), key);
    }

    #[test]
    fn a_range_reads_as_open_below_and_closed_above() {
        let key = |n: i64| Key(vec![KeyPart { tag: "integer".into(), text: n.to_string() }]);
        assert_eq!(KeyRange { after: Some(key(5)), upto: key(9) }.to_string(), "(5) … (9]");
        assert_eq!(KeyRange { after: None, upto: key(9) }.to_string(), "… (9]");
    }
}
