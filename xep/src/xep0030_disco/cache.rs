//! The rendered answers: one for each host, entity and kind of account.

use std::collections::HashMap;

use hearth_core::iq::{Entity, IqCall};
use hearth_wire::Payload;
use parking_lot::RwLock;

use super::{disco, whole};

/// Whose answer it is: the entity, and whether it is a guest's.
type Whose = (Entity, bool);

/// Answers by domain: as many as there are hosts, with four answers at most.
#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<HashMap<String, HashMap<Whose, Payload>>>);

impl Cache {
    /// The answer to a disco#info query without a node.
    pub(super) fn info(&self, call: &IqCall) -> Payload {
        let guest = call.account.as_ref().is_some_and(|account| account.id.is_none());
        let (domain, whose) = (call.host.domain.as_str(), (call.on, guest));
        if let Some(answer) = self.0.read().get(domain).and_then(|answers| answers.get(&whose)) {
            return answer.clone();
        }
        // rendered under the lock: what is cleared meanwhile is cleared after it was put in
        let mut all = self.0.write();
        let answer = disco::info(&whole(call), None);
        all.entry(domain.to_owned()).or_default().insert(whose, answer.clone());
        answer
    }

    /// Something the answers are made of may have changed.
    pub(super) fn clear(&self) {
        self.0.write().clear();
    }
}
