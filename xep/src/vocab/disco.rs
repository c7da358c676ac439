//! XEP-0030: Service Discovery, its answers: what an entity is and what it can do.
//! https://xmpp.org/extensions/xep-0030.html
//!
//! Everybody who speaks of an entity's features (disco#info, capabilities) takes them from here, so that no two say
//! different things.

use hearth_core::disco::{NodeIdentity, NodeInfo, NodeItem};
use hearth_core::host::Host;
use hearth_core::iq::Entity;
use hearth_core::module::Identity;
use hearth_core::server::Server;
use hearth_wire::{Payload, XmlWriter};

/// The namespace of questions about an entity itself (§3).
pub const INFO: &str = "http://jabber.org/protocol/disco#info";
/// The namespace of questions about what belongs to an entity (§4).
pub const ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// What an entity of a host is, as the modules declared it.
pub fn describe(server: &Server, host: &Host, on: Entity) -> NodeInfo {
    let plan = server.plan();
    let forms = plan.info_forms().iter().filter(|_| on == Entity::Server);
    NodeInfo {
        identities: plan.identities(on).map(identity).collect(),
        features: plan.features(on).collect(),
        forms: forms.filter_map(|form| form(server, host)).collect(),
    }
}

fn identity(identity: Identity) -> NodeIdentity {
    let name = Some(identity.name).filter(|name| !name.is_empty()).map(str::to_owned);
    NodeIdentity { category: identity.category, kind: identity.kind, name }
}

/// The result of a disco#info query; `node` as it was asked for (§3.2).
pub fn info(info: &NodeInfo, node: Option<&str>) -> Payload {
    let mut writer = XmlWriter::with_capacity(256 + info.features.len() * 64);
    writer.open("query", INFO).attr_opt("node", node);
    for identity in &info.identities {
        writer.open("identity", INFO).attr("category", identity.category).attr("type", identity.kind);
        writer.attr_opt("name", identity.name.as_deref()).close();
    }
    for feature in &info.features {
        writer.open("feature", INFO).attr("var", feature).close();
    }
    for form in &info.forms {
        writer.payload(form);
    }
    writer.close();
    writer.into_payload()
}

/// The result of a disco#items query; `node` as it was asked for (§4.2).
pub fn items(items: &[NodeItem], node: Option<&str>) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("query", ITEMS).attr_opt("node", node);
    for item in items {
        writer.open("item", ITEMS).attr("jid", item.jid.as_str());
        writer.attr_opt("node", item.node.as_deref()).attr_opt("name", item.name.as_deref()).close();
    }
    writer.close();
    writer.into_payload()
}

#[cfg(test)]
mod tests {
    use hearth_wire::Jid;

    use super::*;

    #[test]
    fn answers_are_written_in_canonical_form() {
        let mut form = XmlWriter::new();
        form.open("x", "jabber:x:data").attr("type", "result").close();
        let what = NodeInfo {
            identities: vec![NodeIdentity { category: "server", kind: "im", name: Some("R & J".into()) }],
            features: vec![INFO],
            forms: vec![form.into_payload()],
        };
        assert_eq!(
            info(&what, Some("n")).as_str(),
            "<query xmlns='http://jabber.org/protocol/disco#info' node='n'>\
             <identity category='server' type='im' name='R &amp; J'/>\
             <feature var='http://jabber.org/protocol/disco#info'/><x xmlns='jabber:x:data' type='result'/></query>"
        );
        let item = NodeItem { jid: Jid::parse("a@b.example/c").unwrap(), node: None, name: None };
        assert_eq!(
            items(&[item], None).as_str(),
            "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='a@b.example/c'/></query>"
        );
    }
}
