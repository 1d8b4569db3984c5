//! The dashboard in a real Chromium, found by role and label, as a person finds things. The console must stay empty:
//! it is where refusals of the content security policy are reported.

#![cfg(all(feature = "dashboard", feature = "logs", feature = "sqlite"))]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod access;
mod chromium;
mod create;
mod host;
mod tour;
mod watch;
