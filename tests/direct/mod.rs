//! What needs the server itself, with nothing in between: statements are counted here, and plans looked at.

#[cfg(all(feature = "dashboard", feature = "logs"))]
mod pages;
#[cfg(all(feature = "dashboard", feature = "logs"))]
mod streams;
mod trips;
