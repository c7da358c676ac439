//! XEP-0012: Last Activity, version 2.0.   https://xmpp.org/extensions/xep-0012.html
//!
//! When a user was last here and what the user said at parting, and since when the server runs. Queries to a connected
//! resource are its client's to answer.

mod diary;
mod rounds;

use std::sync::Arc;

use hearth_core::account::{Account, AccountState};
use hearth_core::event::Event;
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::server::Server;
use hearth_core::stage::{Interest, Passage, Stage, Step};
use hearth_wire::{IqType, Jid, Kind, Payload, Stanza, StanzaCondition, StanzaError, XmlWriter};

use self::diary::{Diary, Parting, Said};
use self::rounds::Rounds;
use crate::vocab::access;

/// Remembers and answers.
pub(crate) const MODULE: Module = Module {
    name: "last",
    xeps: &[Xep { number: 12, version: "2.0", support: Support::Complete, title: "Last Activity" }],
    needs: &["disco"],
    register,
};

const NS: &str = "jabber:iq:last";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let lost = m.metric("last_activity_lost_total", "Times of logout that could not be stored");
    let diary = Arc::new(Diary::new(lost));
    for on in [Entity::Server, Entity::Own, Entity::Account] {
        m.feature(on, NS);
    }
    m.iq(Verb::Get, Entity::Server, (NS, "query"), uptime)?;
    for on in [Entity::Own, Entity::Account] {
        let diary = Arc::clone(&diary);
        m.iq(Verb::Get, on, (NS, "query"), move |call| last_seen(Arc::clone(&diary), call))?;
    }
    m.hook(Stage::InGuard, Interest::IQ.holding(NS), keep_from_strangers)?;
    let rounds = Rounds::default();
    m.on(move |server, event| match event {
        Event::SessionBound(_) => rounds.begin(server),
        event => note(&diary, server, event),
    });
    Ok(())
}

fn result(seconds: i64, said: &str) -> Reply {
    let mut writer = XmlWriter::new();
    writer.open("query", NS).attr("seconds", &seconds.max(0).to_string());
    if !said.is_empty() {
        writer.text(said);
    }
    writer.close();
    Reply::Result(writer.into_payload())
}

/// §5.
async fn uptime(call: IqCall) -> IqResult {
    Ok(result((call.server.now_ms() - call.server.started_ms()) / 1_000, ""))
}

/// §3. A stranger gets the same answer whether there is such an account or not.
async fn last_seen(diary: Arc<Diary>, call: IqCall) -> IqResult {
    let account = access::visible(&call).ok_or(StanzaError::new(StanzaCondition::Forbidden))?;
    if account.with(|state| !state.resources.is_empty()) {
        return Ok(result(0, ""));
    }
    match diary.last(&call.server, account).await? {
        Some(Parting { at_ms, said }) => Ok(result((call.server.now_ms() - at_ms) / 1_000, &said)),
        None => Err(StanzaError::new(StanzaCondition::ItemNotFound).with_text("the user was never here")),
    }
}

/// §4: who does not see the user's presence must not have the query delivered to a client, and is told so, whether the
/// resource exists or not.
fn keep_from_strangers(passage: &mut Passage<'_>) -> Step {
    let (Some(from), Some(to)) = (&passage.stanza.from, &passage.stanza.to) else { return Step::Next };
    if passage.stanza.kind != Kind::Iq(IqType::Get) || sees(passage.account, from, to) {
        return Step::Next;
    }
    Step::Refuse(StanzaError::new(StanzaCondition::Forbidden))
}

/// By subscription, or because the resource showed itself (RFC 6121 §8.5.3.1).
fn sees(state: &AccountState, from: &Jid, to: &Jid) -> bool {
    let resource = to.resource().and_then(|name| state.resource(name));
    state.shares_presence_with(to.bare_str(), from.bare_str())
        || resource.is_some_and(|resource| {
            let shown = resource.directed.iter();
            shown.into_iter().any(|jid| jid == from || (jid.is_bare() && jid.as_str() == from.bare_str()))
        })
}

fn note(diary: &Arc<Diary>, server: &Arc<Server>, event: &Event<'_>) {
    match event {
        Event::AccountWentAway { account, presence } => {
            diary.note(server, account, Said::Words(status(presence)));
        }
        // who was connected without having been available has left all the same
        Event::SessionEnded(session) if is_empty(&session.account) => {
            diary.note(server, &session.account, Said::NothingNew);
        }
        _ => {}
    }
}

fn is_empty(account: &Account) -> bool {
    account.with(|state| state.resources.is_empty())
}

/// What a presence says (RFC 6121 §4.7.2.2).
fn status(presence: &Stanza) -> String {
    let payload: &Payload = &presence.payload;
    payload.find_content("status").map_or_else(String::new, |child| payload.text(child))
}

#[cfg(test)]
mod tests;
