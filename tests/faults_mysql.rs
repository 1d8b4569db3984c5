//! Faults, survived, on MySQL or MariaDB: the server that `DATA_DRIP_TEST_MYSQL` names, and throw-away ones of its own.
//!
//! The processes are this binary, started again at [`child_process`].

#![cfg(all(unix, feature = "mysql"))]
#![allow(missing_docs, unreachable_pub, reason = "a test binary: nobody sees it from outside")]

#[path = "support/mysql.rs"]
pub mod database;
mod faults;

#[test]
#[ignore = "the entrance of child processes: by itself it does nothing"]
fn child_process() {
    herd::serve(faults::execute);
}
