//! From the model to tokens.

mod body;
mod option_enum;
mod options;
mod span;
mod stub;

pub(crate) use body::{body, excuse};
pub(crate) use option_enum::option_enum;
pub(crate) use options::options;
pub(crate) use stub::{stub_body, stub_options};
