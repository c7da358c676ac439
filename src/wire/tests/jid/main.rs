//! Addresses, from outside: the properties, for the fuzzer's corpus. RFC 7622.

mod properties;

#[test]
fn the_corpus_has_the_properties() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/jid");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        properties::check_bytes(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
