//! Disco nodes: what an entity says about a part of itself. A module owns nodes and answers for them; the module that
//! speaks service discovery asks them (XEP-0030 §3.2, §4.2).   <https://xmpp.org/extensions/xep-0030.html>

use hearth_wire::{Jid, Payload, StanzaError};

use crate::iq::{BoxFuture, IqCall};

/// An item below a node (XEP-0030 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeItem {
    /// Where it is.
    pub jid: Jid,
    /// Its node, if it is not the whole of `jid`.
    pub node: Option<String>,
    /// Its name for people.
    pub name: Option<String>,
}

/// An identity of a node (XEP-0030 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Category, e.g. `automation`.
    pub category: &'static str,
    /// Type, e.g. `command-node`.
    pub kind: &'static str,
    /// Its name for people.
    pub name: Option<String>,
}

/// What a node is (XEP-0030 §3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its identities.
    pub identities: Vec<NodeIdentity>,
    /// Its features.
    pub features: Vec<&'static str>,
    /// Its extension forms (XEP-0128).
    pub forms: Vec<Payload>,
}

/// The owner of some nodes of an entity.
pub trait DiscoNodes: Send + Sync + 'static {
    /// Whether the node is one of its own. Must be quick; the first owner that says yes is asked, and where none does,
    /// the answer is `item-not-found` (XEP-0030 §7).
    fn owns(&self, call: &IqCall, node: &str) -> bool;

    /// What the node is.
    fn info(&self, call: IqCall, node: String) -> BoxFuture<Result<NodeInfo, StanzaError>>;

    /// What is below the node.
    fn items(&self, call: IqCall, node: String) -> BoxFuture<Result<Vec<NodeItem>, StanzaError>>;
}
