//! Client streams without sockets: what has to be sent, looked up or changed for everything a client may send, from the
//! first header to the last tag (RFC 6120 §4–§7). The transport frames what comes out, so that TCP, WebSocket and BOSH
//! can drive the same machine.

pub mod exchange;
pub mod feature;
pub mod header;
pub mod machine;
pub mod policy;
pub mod register;
mod sasl;

pub use machine::{Input, Machine, Output};

#[cfg(test)]
mod tests;
