//! XEP-0030: Service Discovery, version 2.5.0, with the forms of XEP-0128 and the contact addresses of XEP-0157.
//! https://xmpp.org/extensions/xep-0030.html
//!
//! What the server and each account are and can do, collected from what the modules declared. Clients ask at each login,
//! so the answers are rendered once per host.

mod cache;
mod contact;

use std::sync::Arc;

use hearth_core::account::Account;
use hearth_core::disco::{NodeInfo, NodeItem};
use hearth_core::event::Event;
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::module::{Identity, Module, Registrar, SetupError, Support, Xep};
use hearth_wire::{StanzaCondition, StanzaError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::cache::Cache;
use self::contact::Contact;
use crate::vocab::{access, disco};

/// Answers what there is.
pub(crate) const MODULE: Module = Module {
    name: "disco",
    xeps: &[
        Xep { number: 30, version: "2.5.0", support: Support::Complete, title: "Service Discovery" },
        Xep {
            number: 128,
            version: "1.0.1",
            support: Support::Complete,
            title: "Service Discovery Extensions",
        },
        Xep {
            number: 157,
            version: "1.1.1",
            support: Support::Complete,
            title: "Contact Addresses for XMPP Services",
        },
    ],
    needs: &[],
    register,
};

/// What the server tells of itself beside what it can do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Where people can turn to.
    contact: Contact,
}

const SERVER: Identity = Identity { category: "server", kind: "im", name: "Hearth" };
const ACCOUNT: Identity = Identity { category: "account", kind: "registered", name: "" };

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let config = m.config(|config: &Config| config.contact.form().map(drop))?;
    // judged: it can be made
    m.info_form(move |_, _| config.now().contact.form().ok().flatten());
    let cache = Arc::new(Cache::default());
    for (on, identity) in [(Entity::Server, SERVER), (Entity::Own, ACCOUNT), (Entity::Account, ACCOUNT)] {
        m.identity(on, identity);
        m.feature(on, disco::INFO);
        m.feature(on, disco::ITEMS);
        let cache = Arc::clone(&cache);
        m.iq(Verb::Get, on, (disco::INFO, "query"), move |call| info(Arc::clone(&cache), call))?;
        m.iq(Verb::Get, on, (disco::ITEMS, "query"), items)?;
    }
    m.on(move |_, event| {
        if matches!(event, Event::Reloaded) {
            cache.clear();
        }
    });
    Ok(())
}

/// §3.1, §3.2. §8: strangers learn nothing of an account, not even whether there is one.
async fn info(cache: Arc<Cache>, call: IqCall) -> IqResult {
    if call.on != Entity::Server && access::visible(&call).is_none() {
        return Err(StanzaError::new(StanzaCondition::ServiceUnavailable));
    }
    let node = node(&call)?;
    match node.as_deref() {
        None => Ok(Reply::Result(cache.info(&call))),
        Some("") => Ok(Reply::Result(disco::info(&whole(&call), Some("")))),
        Some(node) => Ok(Reply::Result(disco::info(&node_info(&call, node).await?, Some(node)))),
    }
}

/// §4.1, §4.2. §8: strangers find every account empty, those that do not exist too.
async fn items(call: IqCall) -> IqResult {
    let node = node(&call)?;
    let account = access::visible(&call);
    let items = match (call.on, account, node.as_deref()) {
        (Entity::Server, _, None | Some("")) | (Entity::Own | Entity::Account, None, _) => Vec::new(),
        (Entity::Own | Entity::Account, Some(account), None | Some("")) => resources(&call, account),
        (_, _, Some(node)) => node_items(&call, node).await?,
    };
    Ok(Reply::Result(disco::items(&items, node.as_deref())))
}

/// The node that was asked for, as it was written.
fn node(call: &IqCall) -> Result<Option<String>, StanzaError> {
    Ok(call.element()?.attr("node").map(str::to_owned))
}

/// The entity as a whole.
fn whole(call: &IqCall) -> NodeInfo {
    let mut info = disco::describe(&call.server, &call.host, call.on);
    if call.account.as_ref().is_some_and(|account| account.id.is_none()) {
        // XEP-0175: a guest's account is gone with its session
        info.identities
            .iter_mut()
            .filter(|i| i.category == ACCOUNT.category)
            .for_each(|i| i.kind = "anonymous");
        if call.on != Entity::Server {
            info.features.retain(|feature| call.server.plan().is_for_guests(feature));
        }
    }
    info
}

async fn node_info(call: &IqCall, node: &str) -> Result<NodeInfo, StanzaError> {
    match call.server.plan().disco_nodes(call, node) {
        Some(owner) => owner.info(call.clone(), node.to_owned()).await,
        None => Err(StanzaError::new(StanzaCondition::ItemNotFound)),
    }
}

async fn node_items(call: &IqCall, node: &str) -> Result<Vec<NodeItem>, StanzaError> {
    match call.server.plan().disco_nodes(call, node) {
        Some(owner) => owner.items(call.clone(), node.to_owned()).await,
        None => Err(StanzaError::new(StanzaCondition::ItemNotFound)),
    }
}

/// The resources that show themselves; to the account itself the others, too.
fn resources(call: &IqCall, account: &Account) -> Vec<NodeItem> {
    account.with(|state| {
        let shown =
            state.resources.iter().filter(|resource| call.on == Entity::Own || resource.is_available());
        shown.map(|resource| NodeItem { jid: resource.session.jid.clone(), node: None, name: None }).collect()
    })
}

#[cfg(test)]
mod tests;
