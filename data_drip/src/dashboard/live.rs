//! Pages that follow what happens: one look at the database per page and interval, however many people watch it, and
//! to each of them only what changed since they were last told.

mod hub;
mod parts;
mod stream;

pub(super) use self::hub::Hub;
pub(super) use self::stream::stream;
