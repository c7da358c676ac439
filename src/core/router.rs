//! One function decides where a stanza goes: RFC 6120 §10, RFC 6121 §8.

use std::sync::Arc;

use hearth_wire::{
    ErrorType, Flaw, IqType, Jid, Kind, Payload, PresenceType, Stanza, StanzaCondition, StanzaError,
};
use tracing::Instrument as _;

use crate::account::Account;
use crate::accounts::Known;
use crate::dispatch;
use crate::host::Host;
use crate::iq::{BoxFuture, Entity};
use crate::limits::{BOUNCED_CONTENT_BYTES_MAX, PRESENCE_BYTES_MAX};
use crate::message::{self, Delivery};
use crate::metrics::Counter;
use crate::pending::{Pending, RowState};
use crate::presence;
use crate::server::Server;
use crate::session::Session;
use crate::stage::{Passage, Stage, Step};
use crate::subscribe;

/// What the stream of a sender has to do after handing in a stanza.
pub enum Flow {
    /// Nothing: the next stanza may come.
    Done,
    /// The next stanza may come; this one is done when its row is committed.
    Behind(Behind),
    /// The next stanza must wait for this future.
    Block(BoxFuture<()>),
}

/// A stanza that waits for its row.
#[derive(Debug)]
pub struct Behind {
    pub(crate) account: Arc<Account>,
    pub(crate) row: Arc<Pending>,
}

impl Behind {
    /// Whether the row's fate is known.
    pub fn is_settled(&self) -> bool {
        self.row.state() != RowState::Waiting
    }

    /// Lets the account release what is ready. Call once the row is settled.
    pub fn release(&self, server: &Arc<Server>) {
        message::release(server, &self.account);
    }
}

impl Server {
    /// Takes a stanza from a client's session. `from` was checked by the stream; it is stamped here.
    ///
    /// All that is done with it is done in a span of its own, at the level `debug`: nothing of its content is in there.
    pub fn accept(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza, flaw: Option<Flaw>) -> Flow {
        let span = tracing::debug_span!(
            "stanza",
            kind = stanza.kind.name(),
            id = stanza.id.as_deref(),
            to = stanza.to.as_ref().map(Jid::as_str),
        );
        let flow = span.in_scope(|| self.route(session, stanza, flaw));
        match flow {
            // what is done later is still done with this stanza
            Flow::Block(rest) if !span.is_disabled() => Flow::Block(Box::pin(rest.instrument(span))),
            flow => flow,
        }
    }

    fn route(self: &Arc<Self>, session: &Arc<Session>, mut stanza: Stanza, flaw: Option<Flaw>) -> Flow {
        self.metrics().stanzas_received.up();
        session.touch(self.now_ms());
        stanza.from = Some(session.jid.clone());
        if stanza.lang.is_none() {
            // RFC 6120 §8.1.5: what the stream says holds for stanzas that say nothing
            stanza.lang.clone_from(&session.lang);
        }
        if let Some(flaw) = flaw {
            self.refuse(session, &stanza, &StanzaError::new(flaw.condition()));
            return Flow::Done;
        }
        if matches!(stanza.kind, Kind::Presence(_)) && stanza.payload.as_str().len() > PRESENCE_BYTES_MAX {
            let error =
                StanzaError::new(StanzaCondition::PolicyViolation).with_text("the presence is too large");
            self.refuse(session, &stanza, &error);
            return Flow::Done;
        }
        if let Some(ended) = self.out_stages(session, &mut stanza) {
            return ended;
        }
        let Some(to) = stanza.to.clone() else { return self.without_to(session, stanza) };
        match self.hosts().get(to.domain()) {
            Some(host) => self.local(session, host, stanza, &to),
            None => self.remote(session, stanza, &to),
        }
    }

    /// The sender's side: guard, amend.
    fn out_stages(self: &Arc<Self>, session: &Arc<Session>, stanza: &mut Stanza) -> Option<Flow> {
        for stage in [Stage::OutGuard, Stage::OutAmend] {
            if !self.plan().has_hooks(stage, stanza) {
                continue;
            }
            let step = session.account.with(|account| {
                let (host, session) = (&*session.host, Some(&**session));
                self.plan().run(&mut Passage { stage, server: self, stanza, host, account, session })
            });
            match step {
                Step::Next | Step::Keep => {}
                Step::Refuse(error) => {
                    self.refuse(session, stanza, &error);
                    return Some(Flow::Done);
                }
                Step::Drop(reason) => {
                    reason.up();
                    became("dropped");
                    return Some(Flow::Done);
                }
            }
        }
        None
    }

    /// RFC 6120 §10.3, RFC 6121 §8.2: for the account itself.
    fn without_to(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza) -> Flow {
        match stanza.kind {
            Kind::Message(_) => {
                let bare = Jid::from(&session.account.jid);
                self.to_account(session, &Arc::clone(&session.account), Stanza { to: Some(bare), ..stanza })
            }
            Kind::Presence(kind) => self.own_presence(session, stanza, kind),
            Kind::Iq(_) => {
                let (host, account) = (Arc::clone(&session.host), Some(Arc::clone(&session.account)));
                self.ask(session, host, Entity::Own, account, stanza)
            }
        }
    }

    fn own_presence(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza, kind: PresenceType) -> Flow {
        match kind {
            PresenceType::Available => presence::available(self, session, stanza),
            PresenceType::Unavailable => presence::unavailable(self, session, stanza),
            // RFC 6121 §4.3, §3: those say something about somebody, so they need a `to`
            _ => {
                self.refuse(session, &stanza, &StanzaError::new(StanzaCondition::BadRequest));
                return Flow::Done;
            }
        }
        became("told to contacts");
        Flow::Done
    }

    /// RFC 6120 §10.5: to the server itself or to one of its accounts.
    fn local(self: &Arc<Self>, session: &Arc<Session>, host: &Arc<Host>, stanza: Stanza, to: &Jid) -> Flow {
        if let Kind::Presence(kind) = stanza.kind
            && subscribe::is_subscription(kind)
        {
            // whoever asks must not learn from the way it is handled whether there is such an account
            return subscribe::outbound(self, session, stanza, kind, to);
        }
        if to.local().is_none() {
            return self.to_server(session, host, stanza, to);
        }
        if to.eq_bare(&session.account.jid) && to.is_bare() && matches!(stanza.kind, Kind::Iq(_)) {
            let account = Some(Arc::clone(&session.account));
            return self.ask(session, Arc::clone(host), Entity::Own, account, stanza);
        }
        match self.accounts().known(to.bare_str()) {
            Known::Loaded(account) => self.to_account(session, &account, stanza),
            Known::Unknown => self.to_nobody(session, stanza),
            Known::Ask => self.to_unloaded(session, stanza, to),
        }
    }

    fn to_unloaded(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza, to: &Jid) -> Flow {
        let (server, session, bare) = (Arc::clone(self), Arc::clone(session), to.to_bare());
        Flow::Block(Box::pin(async move {
            match server.accounts().load(server.store(), &bare).await {
                Ok(Some(account)) => match server.to_account(&session, &account, stanza) {
                    Flow::Done => {}
                    Flow::Behind(behind) => message::settle(&server, &behind, &session).await,
                    Flow::Block(rest) => rest.await,
                },
                Ok(None) => match server.to_nobody(&session, stanza) {
                    Flow::Block(answer) => answer.await,
                    Flow::Done | Flow::Behind(_) => {}
                },
                Err(error) => server.refuse(&session, &stanza, &error.into()),
            }
        }))
    }

    /// RFC 6121 §8.5.1: no such user. Presence learns nothing. A handler that would tell a stranger of a user in another
    /// way than by `service-unavailable` is asked, so that it can answer the same.
    fn to_nobody(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza) -> Flow {
        let bare = stanza.to.as_ref().filter(|to| to.is_bare());
        match stanza.kind {
            // the same answer as from an account that hides itself (RFC 6121 §4.3.2 rule 1)
            Kind::Presence(PresenceType::Probe) => {
                let answer = stanza.reply(Kind::Presence(PresenceType::Unsubscribed), Payload::empty());
                let from = answer.from.as_ref().map(|from| Jid::from(from.to_bare()));
                session.send(Stanza { from, ..answer }, self.metrics());
                became("answered");
            }
            Kind::Presence(_) => dropped(&self.metrics().dropped_presence),
            Kind::Iq(IqType::Get | IqType::Set)
                if let Some(host) = bare.and_then(|to| self.host(to.domain())) =>
            {
                return self.ask(session, host, Entity::Account, None, stanza);
            }
            Kind::Message(_) | Kind::Iq(_) => {
                self.refuse(session, &stanza, &StanzaError::new(StanzaCondition::ServiceUnavailable));
            }
        }
        Flow::Done
    }

    fn to_server(
        self: &Arc<Self>,
        session: &Arc<Session>,
        host: &Arc<Host>,
        stanza: Stanza,
        to: &Jid,
    ) -> Flow {
        match stanza.kind {
            Kind::Iq(_) if to.is_domain() => {
                self.ask(session, Arc::clone(host), Entity::Server, None, stanza)
            }
            Kind::Presence(_) => {
                dropped(&self.metrics().dropped_presence);
                Flow::Done
            }
            Kind::Message(_) | Kind::Iq(_) => {
                self.refuse(session, &stanza, &StanzaError::new(StanzaCondition::ServiceUnavailable));
                Flow::Done
            }
        }
    }

    /// RFC 6120 §10.4. There is no federation yet: the sender is told so; presence is not worth an error each.
    fn remote(self: &Arc<Self>, session: &Arc<Session>, stanza: Stanza, to: &Jid) -> Flow {
        match stanza.kind {
            Kind::Presence(kind) if subscribe::is_subscription(kind) => {
                subscribe::outbound(self, session, stanza, kind, to)
            }
            _ => {
                self.refuse(session, &stanza, &StanzaError::new(StanzaCondition::RemoteServerNotFound));
                Flow::Done
            }
        }
    }

    /// To an account that exists.
    fn to_account(self: &Arc<Self>, session: &Arc<Session>, account: &Arc<Account>, stanza: Stanza) -> Flow {
        match stanza.kind {
            Kind::Presence(kind) => self.presence_to_account(session, account, stanza, kind),
            Kind::Iq(kind) if stanza.to.as_ref().is_some_and(Jid::is_bare) => {
                self.iq_to_bare(session, account, stanza, kind)
            }
            Kind::Message(_) | Kind::Iq(_) => self.hand_over(session, account, stanza),
        }
    }

    /// RFC 6121 §8.5.2.1.3: the server answers on behalf of the account.
    fn iq_to_bare(
        self: &Arc<Self>,
        session: &Arc<Session>,
        account: &Arc<Account>,
        stanza: Stanza,
        kind: IqType,
    ) -> Flow {
        let own = account.jid == session.account.jid;
        match kind {
            IqType::Get | IqType::Set => {
                let on = if own { Entity::Own } else { Entity::Account };
                let host = self.host(account.jid.domain()).unwrap_or_else(|| Arc::clone(&session.host));
                self.ask(session, host, on, Some(Arc::clone(account)), stanza)
            }
            IqType::Result | IqType::Error => {
                dropped(&self.metrics().dropped_answer);
                Flow::Done
            }
        }
    }

    fn presence_to_account(
        self: &Arc<Self>,
        session: &Arc<Session>,
        account: &Arc<Account>,
        stanza: Stanza,
        kind: PresenceType,
    ) -> Flow {
        let Some(to) = stanza.to.clone() else { return Flow::Done };
        match kind {
            PresenceType::Probe => {
                presence::probed(self, account, &stanza);
                became("answered");
                Flow::Done
            }
            PresenceType::Available | PresenceType::Unavailable => {
                if let Err(error) = presence::note_directed(session, &to, kind) {
                    self.refuse(session, &stanza, &error);
                    return Flow::Done;
                }
                let flow = self.hand_over(session, account, stanza);
                presence::was_directed(self, session, &to);
                flow
            }
            _ => self.hand_over(session, account, stanza),
        }
    }

    fn hand_over(self: &Arc<Self>, session: &Arc<Session>, account: &Arc<Account>, stanza: Stanza) -> Flow {
        let stanza = Arc::new(stanza);
        match message::deliver(self, account, &stanza, Some(session), None) {
            Delivery::Done(outcome) => {
                became(outcome);
                Flow::Done
            }
            Delivery::Behind(row) => {
                became("stored");
                Flow::Behind(Behind { account: Arc::clone(account), row })
            }
            Delivery::Bounce(error) => {
                self.refuse(session, &stanza, &error);
                Flow::Done
            }
            Delivery::NeedsRoom => {
                let (server, session, account) = (Arc::clone(self), Arc::clone(session), Arc::clone(account));
                Flow::Block(Box::pin(async move {
                    message::deliver_when_room(&server, &account, &stanza, &session).await;
                }))
            }
        }
    }

    /// An iq that the server answers, for itself or for an account.
    fn ask(
        self: &Arc<Self>,
        session: &Arc<Session>,
        host: Arc<Host>,
        on: Entity,
        account: Option<Arc<Account>>,
        stanza: Stanza,
    ) -> Flow {
        dispatch::ask(self, session, dispatch::Asked { host, on, account }, stanza)
    }

    /// Answers a stanza of a session with an error, unless it must not be answered (RFC 6120 §8.3.1).
    pub fn refuse(&self, session: &Session, stanza: &Stanza, error: &StanzaError) {
        tracing::debug!(outcome = "refused", condition = error.condition.name(), "stanza");
        if let Some(mut bounced) = stanza.bounce(error) {
            if bounced.from.is_none() {
                bounced.from = Some(Jid::from(&session.account.jid));
            }
            self.metrics().stanzas_bounced.up();
            session.answer(bounced, self.metrics());
        }
    }

    /// Sends an error for a stanza whose sender may be anywhere.
    pub fn bounce(self: &Arc<Self>, stanza: &Stanza, error: &StanzaError) {
        let Some(bounced) = stanza.bounce(error) else { return };
        self.metrics().stanzas_bounced.up();
        self.send_local(bounced);
    }

    /// Sends errors for what nobody could be given, all at once: with the content only if that is little (RFC 6120
    /// §8.3.1 leaves it to us), so that their senders' queues can hold them.
    pub(crate) fn bounce_all(self: &Arc<Self>, refused: &[(Arc<Stanza>, StanzaError)]) {
        let bytes: usize = refused.iter().map(|(stanza, _)| stanza.weight_bytes()).sum();
        for (stanza, error) in refused {
            if bytes <= BOUNCED_CONTENT_BYTES_MAX {
                self.bounce(stanza, error);
            } else {
                self.bounce(&Stanza { payload: Arc::new(Payload::empty()), ..Stanza::clone(stanza) }, error);
            }
        }
    }

    /// Delivers a stanza of the server's own (an error, a presence) to a local account, if it is loaded: who is not has
    /// no session that could take it. Never stores, never answers.
    pub fn send_local(self: &Arc<Self>, stanza: Stanza) {
        let Some(account) = stanza.to.as_ref().and_then(|to| self.accounts().loaded(to.bare_str())) else {
            return message::ignored(self, stanza.kind).up();
        };
        message::hand_out(self, &account, &Arc::new(stanza));
    }
}

/// Says what became of the stanza whose span this is in.
pub(crate) fn became(outcome: &'static str) {
    tracing::debug!(outcome, "stanza");
}

fn dropped(reason: &Counter) {
    reason.up();
    became("dropped");
}

/// An error that says "try again later" for a store that has no room.
pub(crate) fn busy() -> StanzaError {
    StanzaError::new(StanzaCondition::ResourceConstraint).with_type(ErrorType::Wait)
}
