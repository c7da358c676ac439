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
    /// When its account was made: tells its versions from those of an account that had the name before.
    epoch_ms: i64,
    version: i64,
    /// Sorted by address.
    items: Vec<RosterItem>,
}

impl Roster {
    /// From what was stored, of an account that was made at this time (in milliseconds since 1970).
    pub fn new(epoch_ms: i64, version: i64, mut items: Vec<RosterItem>) -> Self {
        items.sort_by(|a, b| a.jid.cmp(&b.jid));
        Self { epoch_ms, version, items }
    }

    /// The version now (§2.6): grows with every visible change.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// A version as clients are told it. It is opaque to them (§2.6.3), and no other account's, even of the same name: that
    /// one has removed things which this one's client would keep.
    pub fn ver(&self, version: i64) -> String {
        format!("{:x}-{version}", self.epoch_ms)
    }

    /// The version that a client has, if it is one that this roster had.
    pub fn known(&self, ver: &str) -> Option<i64> {
        let version = ver.rsplit_once('-')?.1.parse().ok()?;
        (version <= self.version && self.ver(version) == ver).then_some(version)
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
        writer.open("query", ns::ROSTER).attr("ver", &self.ver(self.version));
        for item in self.items.iter().filter(|item| item.listed) {
            item.write(&mut writer);
        }
        writer.close();
        writer.into_payload()
    }

    /// The content of a push about one contact (§2.1.6, §2.6.3).
    pub fn push(&self, jid: &BareJid, item: Option<&RosterItem>, version: i64) -> Payload {
        let mut writer = XmlWriter::new();
        writer.open("query", ns::ROSTER).attr("ver", &self.ver(version));
        match item.filter(|item| item.listed) {
            Some(item) => item.write(&mut writer),
            None => {
                writer.open("item", ns::ROSTER).attr("jid", jid.as_str());
                writer.attr("subscription", "remove").close();
            }
        }
        writer.close();
        writer.into_payload()
    }
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
            "<query xmlns='jabber:iq:roster' ver='0-3'><item jid='romeo@example.net' name='Romeo &amp; co' \
             subscription='none' ask='subscribe'><group>Friends</group></item></query>"
        );
        roster.apply(&RosterChange { item: None, version: 4, ..change });
        assert_eq!(roster.query().as_str(), "<query xmlns='jabber:iq:roster' ver='0-4'/>");
    }

    #[test]
    fn a_request_that_came_in_is_kept_but_not_shown() {
        let mut item = RosterItem::new(bare("stranger@example.net"));
        item.subscription.pending_in = true;
        let roster = Roster::new(0x5f, 1, vec![item]);
        assert!(roster.subscription("stranger@example.net").pending_in);
        assert_eq!(roster.query().as_str(), "<query xmlns='jabber:iq:roster' ver='5f-1'/>");
    }

    #[test]
    fn a_version_is_known_to_the_roster_that_had_it() {
        let roster = Roster::new(0x1f, 12, Vec::new());
        for version in [0, 1, 12] {
            assert_eq!(roster.known(&roster.ver(version)), Some(version));
        }
        let of_another = Roster::new(0x2f, 12, Vec::new()).ver(12);
        for ver in
            ["", "12", "-12", "1f", "1f-", "1f-13", "1f--1", "1f-+1", "1f-01", "1f- 1", "1F-1", &of_another]
        {
            assert_eq!(roster.known(ver), None, "{ver}");
        }
    }
}
