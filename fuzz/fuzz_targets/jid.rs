//! Any bytes as an address. What must hold stands in `src/wire/tests/jid/properties.rs`, whose tests run the corpus as
//! well: `cargo test --release -p hearth-wire`.
//!
//! `cargo +nightly fuzz run jid -- -max_len=200`

#![no_main]

#[path = "../../src/wire/tests/jid/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|text: &[u8]| properties::check_bytes(text));
