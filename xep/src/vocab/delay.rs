//! XEP-0203: Delayed Delivery, the mark on a stanza that waited.   https://xmpp.org/extensions/xep-0203.html

use hearth_core::offline::stamp;
use hearth_wire::{Child, Jid, Payload, XmlWriter, ns};

/// The namespace of the mark.
pub const NS: &str = "urn:xmpp:delay";

/// Writes the mark: who kept the stanza, and since when, in milliseconds since 1970 (§2).
pub fn write(writer: &mut XmlWriter, keeper: &Jid, since_ms: i64) {
    writer.open("delay", NS).attr("from", keeper.as_str()).attr("stamp", &stamp(since_ms)).close();
}

/// Who kept the stanza, according to this mark; `None` if it is no mark, or does not say.
pub fn keeper(payload: &Payload, child: Child) -> Option<Jid> {
    if payload.namespace(child) != Some(NS) || payload.name(child) != "delay" {
        return None;
    }
    Jid::parse(payload.element(child, ns::CLIENT)?.attr("from")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_who_and_since_when() {
        let mut writer = XmlWriter::new();
        write(&mut writer, &Jid::parse("capulet.example").unwrap(), 1_031_699_305_000);
        let payload = writer.into_payload();
        let mark = "<delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2002-09-10T23:08:25.000Z'/>";
        assert_eq!(payload.as_str(), mark);
        let keeper = keeper(&payload, payload.only_child().unwrap());
        assert_eq!(keeper.unwrap().as_str(), "capulet.example");
    }
}
