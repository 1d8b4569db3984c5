//! What is refused at compile time, with which words and where; and its passing twins.

use std::path::Path;

/// A suite that finds no cases passes, so the cases are counted first.
fn cases(folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|ext| ext == "rs"))).count()
}

#[test]
fn promise_9_wrong_backfills_do_not_compile_and_right_ones_do() {
    assert!(cases("fail") > 0 && cases("pass") > 0, "there is nothing to compile");
    let suite = trybuild::TestCases::new();
    suite.pass("pass/*.rs");
    suite.compile_fail("fail/*.rs");
}

/// A message that was never looked at is no message.
#[test]
fn promise_9_every_refusal_has_its_words_on_record() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fail");
    for file in std::fs::read_dir(folder).expect("the cases") {
        let file = file.expect("a case").path();
        if file.extension().is_some_and(|ext| ext == "rs") {
            assert!(file.with_extension("stderr").is_file(), "{} has no .stderr beside it", file.display());
        }
    }
}
