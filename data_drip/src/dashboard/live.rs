//! Pages that follow what happens: one look at the database per interval, whatever is watched and however many watch it; a
//! page is loaded when something on it has changed, once for everybody who watches it; and each of them is told only what
//! changed since they were last told.

mod hub;
mod parts;
mod pulse;
mod stream;

pub(super) use self::hub::Hub;
pub(super) use self::stream::stream;
