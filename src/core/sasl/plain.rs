//! PLAIN: name and password in one message.
//!
//! RFC 4616. The password is checked against stored SCRAM keys; an unknown user costs the same derivation.

use std::sync::Arc;

use hearth_wire::BareJid;
use subtle::Choice;

use super::exchange::{Lookup, Machine, Step, Success};
use super::identity::authorize;
use super::{Credentials, Failure, Password, Realm};

pub(super) struct Plain {
    realm: Arc<Realm>,
    waiting: Option<Presented>,
}

/// What the client presented, until the account's keys are there.
struct Presented {
    authzid: Option<String>,
    account: BareJid,
    password: Password,
}

impl Plain {
    pub(super) fn new(realm: Arc<Realm>) -> Self {
        Self { realm, waiting: None }
    }

    fn presented(&self, data: &[u8]) -> Result<Presented, Failure> {
        let text = std::str::from_utf8(data).map_err(|_| Failure::Malformed)?;
        let mut fields = text.split('\0');
        let (Some(authzid), Some(authcid), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Failure::Malformed);
        };
        if authcid.is_empty() || password.is_empty() {
            return Err(Failure::Malformed);
        }
        Ok(Presented {
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            account: self.realm.account(authcid)?,
            // RFC 4616 §2: "if preparation fails […] verification SHALL fail", whoever the user is.
            password: Password::presented(password).map_err(|_| Failure::Credentials)?,
        })
    }

    /// The order matters: nothing about the account is told before the password was right.
    fn check(&self, who: Presented, credentials: Option<&Credentials>) -> Result<Success, Failure> {
        let known = credentials.and_then(Credentials::keys_for_plain);
        let decoy = self.realm.decoys.keys_for_plain(&who.account);
        let right = known.unwrap_or(&decoy).are_of(&who.password) & Choice::from(u8::from(known.is_some()));
        if !bool::from(right) {
            return Err(Failure::Credentials);
        }
        let identity = authorize(who.account, who.authzid.as_deref())?;
        if credentials.is_some_and(|credentials| credentials.disabled) {
            return Err(Failure::AccountDisabled);
        }
        let (mark, password) = match credentials {
            Some(credentials) if credentials.is_complete() => (Some(credentials.mark), None),
            Some(credentials) => (Some(credentials.mark), Some(who.password)),
            None => (None, None),
        };
        Ok(Success { identity, data: None, binding: None, mark, password })
    }
}

impl Machine for Plain {
    fn step(&mut self, data: &[u8]) -> Step {
        if self.waiting.is_some() {
            return Step::Fail(Failure::OutOfOrder);
        }
        match self.presented(data) {
            Err(why) => Step::Fail(why),
            Ok(presented) => {
                let account = presented.account.clone();
                self.waiting = Some(presented);
                Step::Need(Lookup { account })
            }
        }
    }

    fn credentials(&mut self, credentials: Option<&Credentials>) -> Step {
        match self.waiting.take().ok_or(Failure::OutOfOrder).and_then(|who| self.check(who, credentials)) {
            Ok(success) => Step::Done(success),
            Err(why) => Step::Fail(why),
        }
    }

    fn is_heavy(&self) -> bool {
        self.waiting.is_some()
    }
}
