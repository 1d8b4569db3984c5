//! Faults, survived, on PostgreSQL: the server that `DATA_DRIP_TEST_POSTGRES` names, and throw-away ones of its own.
//!
//! The processes are this binary, started again at [`child_process`].

#![cfg(all(unix, feature = "postgres"))]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

#[path = "support/postgres.rs"]
pub mod database;
mod faults;

#[test]
#[ignore = "the entrance of child processes: by itself it does nothing"]
fn child_process() {
    herd::serve(faults::execute);
}
