//! A binary that links one of the crates.
#![forbid(unsafe_code)]

use fixture_people as _;

#[test]
fn backfills_are_sound() {
    data_drip::assert_backfills!();
}
