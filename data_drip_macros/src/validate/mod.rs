//! From raw attributes to the model; everything that cannot be meant is refused here, at the token where it stands.

mod body;
mod functions;
mod kinds;
mod option_enum;
mod options;
mod settings;
mod values;

pub(crate) use body::body;
pub(crate) use option_enum::option_enum;
pub(crate) use options::options;
