//! A binary that depends on both crates and names neither: the compiler drops them.
#![forbid(unsafe_code)]

#[test]
#[should_panic(expected = "use my_backfills as _;")]
fn an_empty_registry_says_what_to_write() {
    data_drip::assert_backfills!();
}
