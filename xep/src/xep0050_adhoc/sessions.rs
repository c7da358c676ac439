//! Commands that were begun and wait for their form: between one admin's client and this server (XEP-0050 §3.3).
//! https://xmpp.org/extensions/xep-0050.html

use std::collections::HashMap;

use hearth_core::random;
use hearth_wire::{ErrorType, Jid, StanzaCondition, StanzaError};
use parking_lot::Mutex;

use super::{NS, refusal};

/// How long a form may lie unanswered.
const LIFE_MS: i64 = 15 * 60 * 1_000;
/// Sessions that are remembered, those that have ended included: only so can it be told that they have. The oldest goes
/// first. Only admins begin any.
const SESSIONS_MAX: usize = 1_000;

#[derive(Debug)]
struct Session {
    owner: Jid,
    command: &'static str,
    /// Begun or last used, in milliseconds since 1970.
    used_ms: i64,
    has_ended: bool,
}

/// The sessions by their ids.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// Begins a session; answers its id, which nobody can guess.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn begin(
        &self,
        owner: &Jid,
        command: &'static str,
        now_ms: i64,
    ) -> Result<String, StanzaError> {
        let id = random::id()?;
        let mut sessions = self.0.lock();
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used_ms).map(|(id, _)| id.clone());
            oldest.and_then(|id| sessions.remove(&id));
        }
        sessions
            .insert(id.clone(), Session { owner: owner.clone(), command, used_ms: now_ms, has_ended: false });
        Ok(id)
    }

    /// Whether a session is this client's, of this command, and alive.
    ///
    /// # Errors
    /// `bad-sessionid` for another's and unknown ones, `session-expired` for those that have ended (§4.4).
    pub(super) fn check(&self, id: &str, owner: &Jid, command: &str, now_ms: i64) -> Result<(), StanzaError> {
        let mut sessions = self.0.lock();
        let known =
            sessions.get_mut(id).filter(|session| session.owner == *owner && session.command == command);
        let session = known.ok_or_else(|| refusal("bad-sessionid", "there is no such session of yours"))?;
        if session.has_ended || now_ms.saturating_sub(session.used_ms) > LIFE_MS {
            let error = StanzaError::new(StanzaCondition::NotAllowed).with_type(ErrorType::Cancel);
            return Err(error.with_text("begin the command anew").with_specific("session-expired", NS));
        }
        session.used_ms = now_ms;
        Ok(())
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        if let Some(session) = self.0.lock().get_mut(id) {
            session.has_ended = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn specific(result: Result<(), StanzaError>) -> String {
        let payload = result.unwrap_err().specific.unwrap();
        payload.name(payload.children()[0]).to_owned()
    }

    #[test]
    fn a_session_is_one_clients_for_one_command_and_a_time() {
        let sessions = Sessions::default();
        let (me, phone) = (jid("a@b/desk"), jid("a@b/phone"));
        let id = sessions.begin(&me, "status", 0).unwrap();
        sessions.check(&id, &me, "status", LIFE_MS).unwrap();
        assert_eq!(specific(sessions.check(&id, &phone, "status", 0)), "bad-sessionid");
        assert_eq!(specific(sessions.check(&id, &me, "stop", 0)), "bad-sessionid");
        assert_eq!(specific(sessions.check("x", &me, "status", 0)), "bad-sessionid");
        assert_eq!(specific(sessions.check(&id, &me, "status", 2 * LIFE_MS + 1)), "session-expired");
        sessions.check(&id, &me, "status", 2 * LIFE_MS).unwrap();
        sessions.end(&id);
        assert_eq!(specific(sessions.check(&id, &me, "status", 2 * LIFE_MS)), "session-expired");
    }

    #[test]
    fn their_number_is_bounded() {
        let sessions = Sessions::default();
        let me = jid("a@b/desk");
        let first = sessions.begin(&me, "status", 0).unwrap();
        let second = sessions.begin(&me, "status", 1).unwrap();
        (2..=SESSIONS_MAX as i64).for_each(|n| drop(sessions.begin(&me, "status", n).unwrap()));
        assert_eq!(sessions.0.lock().len(), SESSIONS_MAX);
        assert_eq!(specific(sessions.check(&first, &me, "status", 0)), "bad-sessionid");
        sessions.check(&second, &me, "status", 1).unwrap();
    }
}
