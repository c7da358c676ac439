//! A roster in memory: what RFC 6121 §2 shows to clients, compact, sorted by address.

use std::sync::Arc;

use hearth_wire::{BareJid, Payload, Stanza, XmlWriter, ns};

use crate::subscription::Subscription;

/// A contact as the account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// The contact.
    pub jid: BareJid,
    /// The account's own name for it.
    pub name: Option<Box<str>>,
    /// Its groups, without doubles.
    pub groups: Box<[Box<str>]>,
    /// The state between the two.
    pub subscription: Subscription,
    /// Whether it is in the roster. A mere request that came in is kept, but not shown (§3.1.3).
    pub listed: bool,
    /// The request that came in and is not answered, complete (§3.1.3 rule 4).
    pub request: Option<Arc<Stanza>>,
    /// The roster's version when this item changed last.
    pub version: i64,
}

impl RosterItem {
    /// An item about which nothing is known yet.
    pub fn new(jid: BareJid) -> Self {
        Self {
            jid: jid.compact(),
            name: None,
            groups: Box::default(),
            subscription: Subscription::default(),
            listed: false,
            request: None,
            version: 0,
        }
    }

    /// Writes the `<item/>` (§2.1.2).
    pub fn write(&self, writer: &mut XmlWriter) {
        let state = self.subscription;
        writer.open("item", ns::ROSTER).attr("jid", self.jid.as_str()).attr_opt("name", self.name.as_deref());
        writer.attr("subscription", state.attribute());
        if state.pending_out {
            writer.attr("ask", "subscribe");
        }
        if state.approved {
            writer.attr("approved", "true");
        }
        for group in &self.groups {
            writer.open("group", ns::ROSTER).text(group).close();
        }
        writer.close();
    }

    /// Whether a client would see a difference.
    pub fn looks_like(&self, other: &Self) -> bool {
        let shown = |state: Subscription| (state.attribute(), state.pending_out, state.approved);
        self.listed == other.listed
            && self.name == other.name
            && self.groups == other.groups
            && shown(self.subscription) == shown(other.subscription)
    }
}

/// What became of one contact, in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// The item afterwards; `None`: nothing is known of the contact any more.
    pub item: Option<RosterItem>,
    /// Whose item.
    pub jid: BareJid,
    /// Whether clients see a difference, i.e. whether a push is due.
    pub visible: bool,
    /// The roster's version afterwards.
    pub version: i64,
}

/// The roster of one account.
#[derive(Debug, Default)]
pub struct Roster {
    version: i64,
    /// Sorted by address.
    items: Vec<RosterItem>,
}

impl Roster {
    /// From what was stored.
    pub fn new(version: i64, mut items: Vec<RosterItem>) -> Self {
        items.sort_by(|a, b| a.jid.cmp(&b.jid));
        Self { version, items }
    }

    /// The version now (§2.6): grows with every visible change.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// What is known of a contact.
    pub fn get(&self, bare: &str) -> Option<&RosterItem> {
        let at = self.items.binary_search_by(|item| item.jid.as_str().cmp(bare)).ok()?;
        self.items.get(at)
    }

    /// The state towards a contact.
    pub fn subscription(&self, bare: &str) -> Subscription {
        self.get(bare).map_or_else(Subscription::default, |item| item.subscription)
    }

    /// Everything known, requests that came in included.
    pub fn items(&self) -> &[RosterItem] {
        &self.items
    }

    /// Takes over a committed change.
    pub fn apply(&mut self, change: &RosterChange) {
        self.version = self.version.max(change.version);
        let found = self.items.binary_search_by(|item| item.jid.cmp(&change.jid));
        match (found, &change.item) {
            (Ok(at), Some(item)) => self.items[at] = item.clone(),
            (Ok(at), None) => {
                self.items.remove(at);
            }
            (Err(at), Some(item)) => self.items.insert(at, item.clone()),
            (Err(_), None) => {}
        }
    }

    /// The result of a roster get (§2.1.3, §2.1.4).
    pub fn query(&self) -> Payload {
        let mut writer = XmlWriter::with_capacity(64 + self.items.len() * 96);
        writer.open("query", ns::ROSTER).attr("ver", &self.version.to_string());
        for item in self.items.iter().filter(|item| item.listed) {
            item.write(&mut writer);
        }
        writer.close();
        writer.into_payload()
    }
}

/// The content of a push about one contact (§2.1.6, §2.6.3).
pub fn push(jid: &BareJid, item: Option<&RosterItem>, version: i64) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("query", ns::ROSTER).attr("ver", &version.to_string());
    match item.filter(|item| item.listed) {
        Some(item) => item.write(&mut writer),
        None => {
            writer.open("item", ns::ROSTER).attr("jid", jid.as_str()).attr("subscription", "remove").close();
        }
    }
    writer.close();
    writer.into_payload()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn changes_are_applied_and_shown() {
        let mut roster = Roster::default();
        let mut item = RosterItem::new(bare("romeo@example.net"));
        item.listed = true;
        item.name = Some("Romeo & co".into());
        item.groups = ["Friends".into()].into();
        item.subscription.pending_out = true;
        let change = RosterChange { jid: item.jid.clone(), item: Some(item), visible: true, version: 3 };
        roster.apply(&change);
        assert_eq!(
            roster.query().as_str(),
            "<query xmlns='jabber:iq:roster' ver='3'><item jid='romeo@example.net' name='Romeo &amp; co' \
             subscription='none' ask='subscribe'><group>Friends</group></item></query>"
        );
        roster.apply(&RosterChange { item: None, version: 4, ..change });
        assert_eq!(roster.query().as_str(), "<query xmlns='jabber:iq:roster' ver='4'/>");
    }

    #[test]
    fn a_request_that_came_in_is_kept_but_not_shown() {
        let mut item = RosterItem::new(bare("stranger@example.net"));
        item.subscription.pending_in = true;
        let roster = Roster::new(1, vec![item]);
        assert!(roster.subscription("stranger@example.net").pending_in);
        assert_eq!(roster.query().as_str(), "<query xmlns='jabber:iq:roster' ver='1'/>");
    }
}
