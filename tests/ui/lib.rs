//! Nothing: the cases are files in `pass` and `fail`, compiled by `compile_fail.rs`.
