//! The properties, for generated documents, for broken ones, and for the fuzzer's corpus.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::generator::{Choices, document};
use crate::properties::{check, check_bytes};
use crate::support::{client, read};

/// Documents are small and checks quick. `PROPTEST_CASES` asks for still more.
fn more_cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    // what was found once becomes a file of the corpus, which the fuzzer knows, too
    ProptestConfig { cases: default.cases.max(4_000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(more_cases())]

    #[test]
    fn generated_documents_have_the_properties(choices in vec(any::<u8>(), 0..400), cuts in vec(any::<u8>(), 0..12)) {
        check(document(&mut Choices::new(&choices)).as_bytes(), &cuts);
    }

    #[test]
    fn broken_documents_have_the_properties(
        choices in vec(any::<u8>(), 0..300),
        cuts in vec(0..40_u8, 0..12),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        kind in 0..3_u8,
    ) {
        let mut bytes = document(&mut Choices::new(&choices)).into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        check(&bytes, &cuts);
    }
}

/// A generator that only makes mistakes, or none, would prove little.
#[test]
fn the_generator_makes_right_and_wrong_documents() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut right = 0;
    let mut frame_count = 0;
    for _ in 0..1_000 {
        let choices = vec(any::<u8>(), 0..400).new_tree(&mut runner).unwrap().current();
        let (frames, end) = read(&mut client(), document(&mut Choices::new(&choices)));
        right += usize::from(end.is_ok());
        frame_count += frames.len();
    }
    assert!((200..800).contains(&right), "{right} of 1000 are right");
    assert!(frame_count > 500, "{frame_count} frames");
}

#[test]
fn the_corpus_has_the_properties() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/framer");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        check_bytes(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
