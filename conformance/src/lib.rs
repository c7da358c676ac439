//! Conformance: judges Hearth from outside, with none of its code. See `conformance/README.md`.

mod client;
mod faults;
mod play;
mod record;
mod runner;
pub mod scenario;
mod secrets;
mod server;
mod xml;

pub mod dev;
