//! The commands as nodes of the server (XEP-0050 §2.2, XEP-0133).   https://xmpp.org/extensions/xep-0050.html

use hearth_core::command::{self, Caller, Command};
use hearth_core::disco::{DiscoNodes, NodeIdentity, NodeInfo, NodeItem};
use hearth_core::iq::{BoxFuture, IqCall};
use hearth_core::server::Server;
use hearth_wire::{Jid, StanzaCondition, StanzaError};

use super::{NS, forbidden};
use crate::vocab::data_form;

/// Where XEP-0133 names its commands.
pub(super) const ADMIN: &str = "http://jabber.org/protocol/admin";

/// The node of a command: registered (XEP-0133), or of our own making.
pub(super) fn node(command: &Command) -> String {
    match command.node {
        Some(name) => format!("{ADMIN}#{name}"),
        None => format!("hearth#{}", command.name.replace(' ', "-")),
    }
}

/// The command of a node.
pub(super) fn command<'a>(server: &'a Server, asked: &str) -> Option<&'a Command> {
    server.plan().commands().find(|command| node(command) == asked)
}

/// Answers disco for the list of commands and for each command.
pub(super) struct Nodes;

impl DiscoNodes for Nodes {
    fn owns(&self, call: &IqCall, node: &str) -> bool {
        node == NS || command(&call.server, node).is_some()
    }

    fn info(&self, call: IqCall, node: String) -> BoxFuture<Result<NodeInfo, StanzaError>> {
        Box::pin(async move { info(&call, &node) })
    }

    fn items(&self, call: IqCall, node: String) -> BoxFuture<Result<Vec<NodeItem>, StanzaError>> {
        Box::pin(async move { Ok(items(&call, &node)) })
    }
}

fn is_permitted(call: &IqCall) -> bool {
    command::permitted(&call.server, &Caller::Admin(call.from.clone())).is_ok()
}

fn info(call: &IqCall, node: &str) -> Result<NodeInfo, StanzaError> {
    let described = |kind, name, features| {
        let identities = vec![NodeIdentity { category: "automation", kind, name }];
        NodeInfo { identities, features, forms: Vec::new() }
    };
    if node == NS {
        return Ok(described("command-list", Some("Commands".to_owned()), vec![NS]));
    }
    if !is_permitted(call) {
        return Err(forbidden());
    }
    let command = command(&call.server, node).ok_or(StanzaError::new(StanzaCondition::ItemNotFound))?;
    Ok(described("command-node", Some(command.help.to_owned()), vec![NS, data_form::NS]))
}

/// §2.2: those that the asker may execute.
fn items(call: &IqCall, asked: &str) -> Vec<NodeItem> {
    if asked != NS || !is_permitted(call) {
        return Vec::new();
    }
    let jid = Jid::from(&call.host.domain);
    let item = |command: &Command| NodeItem {
        jid: jid.clone(),
        node: Some(node(command)),
        name: Some(command.help.to_owned()),
    };
    call.server.plan().commands().map(item).collect()
}
