//! Iqs that the server answers: found by payload in the plan, answered exactly once (RFC 6120 §8.2.3).

use std::sync::Arc;

use hearth_wire::{Kind, Stanza, StanzaCondition, StanzaError};

use crate::account::Account;
use crate::host::Host;
use crate::iq::{Entity, IqCall, Reply, Verb};
use crate::router::{Flow, became};
use crate::server::Server;
use crate::session::Session;

/// Who was asked.
pub(crate) struct Asked {
    pub(crate) host: Arc<Host>,
    pub(crate) on: Entity,
    pub(crate) account: Option<Arc<Account>>,
}

/// Calls the handler of the payload; the sender's stream waits for it, so that its order of requests holds.
pub(crate) fn ask(server: &Arc<Server>, session: &Arc<Session>, asked: Asked, stanza: Stanza) -> Flow {
    let Kind::Iq(kind) = stanza.kind else { return Flow::Done };
    let Some(verb) = Verb::of(kind) else {
        // an answer to a push or ping of ours: nobody waits for it, and it must not be answered
        became("taken note of");
        return Flow::Done;
    };
    let payload = &stanza.payload;
    let handler = payload.only_child().and_then(|child| {
        let namespace = payload.namespace(child)?;
        let handler = server.plan().iq(verb, asked.on, namespace, payload.name(child))?;
        Some((child, Arc::clone(handler)))
    });
    let Some((child, handler)) = handler else {
        server.refuse(session, &stanza, &StanzaError::new(StanzaCondition::ServiceUnavailable));
        return Flow::Done;
    };
    let from = stanza.from.clone().unwrap_or_else(|| session.jid.clone());
    let call = IqCall {
        server: Arc::clone(server),
        host: asked.host,
        on: asked.on,
        from,
        account: asked.account,
        session: Some(Arc::clone(session)),
        stanza: stanza.clone(),
        child,
    };
    let answer = handler(call.clone());
    let (server, session) = (Arc::clone(server), Arc::clone(session));
    Flow::Block(Box::pin(async move {
        match answer.await {
            Ok(reply) => {
                if let Reply::Result(payload) = reply {
                    session.answer(call.result(payload), server.metrics());
                }
                became("answered");
            }
            Err(error) => server.refuse(&session, &stanza, &error),
        }
    }))
}
