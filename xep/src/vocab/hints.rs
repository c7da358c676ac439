//! XEP-0334: Message Processing Hints, what the sender says about storing a message.
//! https://xmpp.org/extensions/xep-0334.html

use hearth_wire::Payload;

/// The namespace of the hints.
pub const NS: &str = "urn:xmpp:hints";

/// Whether the message is to be stored nowhere, not even for later delivery (§4.2).
pub fn no_store(payload: &Payload) -> bool {
    payload.has("no-store", NS)
}

/// Whether the message is to be stored although its content would not ask for it (§4.4).
pub fn store(payload: &Payload) -> bool {
    payload.has("store", NS)
}
