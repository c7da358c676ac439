//! Any bytes through the framer. What must hold stands in `src/wire/tests/framer/properties.rs`, whose tests run the
//! corpus as well: `cargo test --release -p hearth-wire`.
//!
//! `cargo +nightly fuzz run framer -- -dict=fuzz/framer.dict -max_len=2000`

#![no_main]

#[path = "../../src/wire/tests/framer/oracle.rs"]
mod oracle;
#[path = "../../src/wire/tests/framer/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|document: &[u8]| properties::check_bytes(document));
