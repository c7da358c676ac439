//! The framer, from outside: what it takes, what it refuses and why, what it writes. RFC 6120 §4, §8, §11.

#![allow(clippy::unwrap_used, clippy::expect_used)] // an expectation that fails is what a test is for

mod breaches;
mod generator;
mod limits;
mod oracle;
mod properties;
mod random;
mod stanzas;
mod stream;
mod support;
