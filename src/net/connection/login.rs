//! What a login needs from outside of the stream: accounts, budgets, a resource (RFC 6120 §6, §7).

use std::sync::Arc;
use std::task::Context;

use hearth_core::bind;
use hearth_core::ended::Ended;
use hearth_core::iq::Verb;
use hearth_core::limits::{
    DEPTH_MAX, ELEMENTS_MAX, EXPANSION_BYTES_MAX, PRE_AUTH_ELEMENTS_MAX, PRE_AUTH_EXPANSION_BYTES_MAX,
    PRE_AUTH_STANZA_BYTES_MAX,
};
use hearth_core::outbox::End;
use hearth_core::sasl::{BindingType, Failure, Identity, KeysMark, Password, Success};
use hearth_core::session::Connected;
use hearth_core::stream::Input;
use hearth_core::stream::register::{self, PreAuthCall, PreAuthEntry};
use hearth_wire::{BareJid, ErrorType, FramerLimits, Stanza, StanzaCondition, StanzaError, StreamCondition};
use tokio::time::Instant;

use super::{Bound, Connection, Resume};
use crate::gate::Attempt;

/// What a client tries to log in to.
#[derive(Debug)]
pub(super) struct Trying {
    attempt: Attempt,
    account: BareJid,
}

/// Of a client that is not bound yet.
pub(super) const NARROW: FramerLimits = FramerLimits {
    element_bytes_max: PRE_AUTH_STANZA_BYTES_MAX,
    expansion_bytes_max: PRE_AUTH_EXPANSION_BYTES_MAX,
    elements_max: PRE_AUTH_ELEMENTS_MAX,
    depth_max: DEPTH_MAX,
};

impl Connection {
    pub(super) fn look_up(&mut self, account: BareJid) {
        let server = Arc::clone(self.server());
        let (gate, peer, now) = (&self.shared.gate, self.peer.ip(), Instant::now());
        let attempt = gate.attempt(peer, &account);
        let limits = &server.settings().limits;
        let may = gate.may_log_in(peer, attempt, limits, now);
        self.trying = Some(Box::new(Trying { attempt, account: account.clone() }));
        if !may {
            // not a SASL failure: clients take that for a wrong password
            let text = if gate.is_account_locked(attempt, limits, now) {
                "too many failed logins to this account from your address; try again later"
            } else {
                "too many failed logins from your address; try again later"
            };
            let text = Some(text.to_owned());
            let condition = Some(StreamCondition::PolicyViolation);
            return self.input(Input::End(End { condition, text, why: Ended::LoginsLimited }));
        }
        self.wait(async move {
            let found = server.credentials(&account).await;
            Resume::Input(Box::new(match found {
                Ok(found) => Input::Credentials(found),
                Err(error) => {
                    tracing::error!(%error, "a login could not be checked");
                    let condition = Some(StreamCondition::InternalServerError);
                    Input::End(End { condition, text: None, why: Ended::Internal })
                }
            }))
        });
    }

    pub(super) fn login_failed(&mut self, failure: Failure) {
        let server = self.server();
        server.metrics().logins_failed.up();
        if !matches!(failure, Failure::Aborted | Failure::BindingType) {
            // a right password for a disabled account is no guess at it
            let guess = self.trying.as_ref().filter(|_| failure != Failure::AccountDisabled);
            let guess = guess.map(|trying| trying.attempt);
            let limits = &server.settings().limits;
            self.shared.gate.login_failed(self.peer.ip(), guess, limits, Instant::now());
        }
        // Admins need the name: to help who mistyped a password, to see who is being guessed at. Now and then it is a
        // password that somebody typed into the wrong field; a log is to be kept like one. It is an address that was
        // parsed, so it is short and has no line ends; who never came to one stays nameless.
        let trying = self.trying.take();
        let account = trying.as_ref().map(|trying| trying.account.as_str());
        tracing::info!(account, reason = %failure, "login failed");
    }

    pub(super) fn logged_in(&mut self, success: Success, mechanism: &'static str) {
        if let Some(trying) = self.trying.take() {
            self.shared.gate.logged_in(trying.attempt);
        }
        tracing::debug!(mechanism, binding = success.binding.map(BindingType::name), "logged in");
        if let (Some(mark), Some(password)) = (success.mark, success.password) {
            self.complete_keys(mark, password);
        }
        self.proved = success.mark;
        self.identity = Some(success.identity);
        self.mechanism = mechanism;
    }

    /// A bound client may send larger stanzas. Before, a guest is nobody yet, and binding takes no more than logging in.
    fn widen(&mut self) {
        let limits = &self.shared.server.settings().limits;
        self.framer.set_limits(FramerLimits {
            element_bytes_max: limits.stanza_bytes_max,
            expansion_bytes_max: EXPANSION_BYTES_MAX,
            elements_max: ELEMENTS_MAX,
            depth_max: DEPTH_MAX,
        });
    }

    /// The password is known just now: keys that the account lacks are made of it, before anything else is read. As
    /// many are made at a time as clients log in.
    fn complete_keys(&mut self, mark: KeysMark, password: Password) {
        let server = Arc::clone(self.server());
        self.wait(async move {
            if let Err(error) = server.complete_keys(mark, password).await {
                // the next login tries again
                tracing::warn!(%error, "keys that an account lacks could not be made");
            }
            Resume::Done
        });
    }

    pub(super) fn answer_before_auth(&mut self, entry: PreAuthEntry, verb: Verb, stanza: Stanza) {
        let Some(host) = self.machine.host().cloned() else { return };
        let call = PreAuthCall {
            server: Arc::clone(self.server()),
            host,
            peer: self.peer.ip(),
            secured: self.machine.is_secured(),
            verb,
            stanza,
        };
        self.wait(async move {
            let answer = register::answer(entry, call).await;
            Resume::Input(Box::new(Input::Answered(answer)))
        });
    }

    pub(super) fn bind(&mut self, resource: Option<String>) {
        let (Some(identity), Some(host)) = (self.identity.clone(), self.machine.host().cloned()) else {
            return;
        };
        let server = Arc::clone(self.server());
        let guest = match &identity {
            Identity::Account(_) => None,
            Identity::Anonymous { .. } => {
                let limits = &server.settings().limits;
                let Some(place) = self.shared.gate.admit_guest(self.peer.ip(), limits) else {
                    server.metrics().guests_refused.up();
                    return self.input(Input::BindRefused(too_many_guests()));
                };
                Some(place)
            }
        };
        let request = bind::BindRequest {
            identity,
            proved: self.proved,
            host,
            resource,
            connected: Connected {
                peer: self.peer,
                tls: self.tls.clone(),
                mechanism: self.mechanism,
                since_ms: server.now_ms(),
            },
            lang: self.machine.lang().map(Into::into),
        };
        self.wait(
            async move { Resume::Bound(bind::bind(&server, request).await.map(|bound| (bound, guest))) },
        );
    }

    pub(super) fn bound(&mut self, result: Bound, cx: &mut Context<'_>) {
        match result {
            Ok((session, guest)) => {
                session.outbox.register(cx.waker());
                self.span.record("jid", session.jid.as_str());
                tracing::info!(mechanism = self.mechanism, tls = self.tls.as_deref(), "session bound");
                // who has an account gives its place back
                self.place = guest;
                self.widen();
                self.counted = Some(self.shared.closing.count());
                let jid = session.jid.clone();
                self.session = Some(session);
                self.input(Input::Bound(jid));
                let deadline = self.deadline();
                self.timer.as_mut().reset(deadline);
            }
            Err(error) => self.input(Input::BindRefused(error)),
        }
    }
}

/// RFC 6120 §7.6.2.1, as for an account with too many sessions.
fn too_many_guests() -> StanzaError {
    StanzaError::new(StanzaCondition::ResourceConstraint)
        .with_type(ErrorType::Wait)
        .with_text("too many guests have come from your address")
}
