//! From tokens to raw attributes: what was written, not yet what it means.

mod attributes;
mod keys;

pub(crate) use attributes::{cfgs, conditional, description, refuse_twice, take};
pub(crate) use keys::{Key, Keys, Known};
