//! Nothing of its own: each of its tests is a binary that links other crates.
