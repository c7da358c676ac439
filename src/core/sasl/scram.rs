//! SCRAM, the server's side, with and without channel binding.
//!
//! RFC 5802, RFC 7677; channel binding: RFC 9266, RFC 5929 §4.
//!
//! Nobody learns here whether an account exists. An unknown one gets the salt and count of a decoy; both
//! kinds go through the same derivations, the same comparison in constant time and the same failure. The
//! decoy is made for existing accounts too, so that its cost is no sign either.

mod message;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_wire::BareJid;
use subtle::{Choice, ConstantTimeEq as _};

use self::message::{BindingFlag, ClientFinal, ClientFirst};
use super::exchange::{Lookup, Machine, Step, Success};
use super::hash::{HashValue, ScramHash};
use super::identity::authorize;
use super::mechanism::{BindingType, Offer};
use super::{Credentials, Failure, KeysMark, Realm};

/// The server's part of the nonce: 24 characters that were never used before.
pub struct ServerNonce(String);

impl ServerNonce {
    /// `random` comes from the system's generator: 144 bits.
    pub fn new(random: &[u8; 18]) -> Self {
        Self(STANDARD.encode(random))
    }

    /// The nonce of a published example.
    #[cfg(test)]
    pub(super) fn of_example(nonce: &str) -> Self {
        Self(nonce.to_owned())
    }
}

pub(super) struct Scram {
    realm: Arc<Realm>,
    offer: Arc<Offer>,
    hash: ScramHash,
    plus: bool,
    server_nonce: ServerNonce,
    state: State,
}

enum State {
    First,
    Account(Opening),
    Final(Opening, Box<Challenged>),
    Over,
}

/// What the client's first message said.
struct Opening {
    account: BareJid,
    authzid: Option<String>,
    binding: Option<BindingType>,
    /// What `c=` must hold: the GS2 header and the data of the channel.
    cbind_input: Vec<u8>,
    client_nonce: String,
    client_first_bare: String,
}

/// What was sent, and what is expected.
struct Challenged {
    nonce: String,
    server_first: String,
    stored_key: HashValue,
    server_key: HashValue,
    /// The keys belong to an account, not to a decoy.
    known: Choice,
    disabled: bool,
    mark: Option<KeysMark>,
}

impl Scram {
    pub(super) fn new(
        realm: Arc<Realm>,
        offer: Arc<Offer>,
        hash: ScramHash,
        plus: bool,
        server_nonce: ServerNonce,
    ) -> Self {
        Self { realm, offer, hash, plus, server_nonce, state: State::First }
    }

    fn open(&self, data: &[u8]) -> Result<Opening, Failure> {
        let first = ClientFirst::parse(data)?;
        let binding = self.binding(first.flag)?;
        let mut cbind_input = first.gs2_header.as_bytes().to_vec();
        if let Some(binding) = binding {
            cbind_input.extend(self.offer.binding_data(binding).ok_or(Failure::BindingType)?);
        }
        Ok(Opening {
            account: self.realm.account(&first.username)?,
            authzid: first.authzid,
            binding,
            cbind_input,
            client_nonce: first.nonce.to_owned(),
            client_first_bare: first.bare.to_owned(),
        })
    }

    /// RFC 5802 §6.
    fn binding(&self, flag: BindingFlag<'_>) -> Result<Option<BindingType>, Failure> {
        match (flag, self.plus) {
            (BindingFlag::ServerCannot, _) if self.offer.offers_plus() => Err(Failure::BindingDowngrade),
            (BindingFlag::ServerCannot | BindingFlag::ClientCannot, false) => Ok(None),
            (BindingFlag::Bound(name), true) => {
                BindingType::from_name(name).map(Some).ok_or(Failure::BindingType)
            }
            (BindingFlag::Bound(_), false)
            | (BindingFlag::ServerCannot | BindingFlag::ClientCannot, true) => Err(Failure::BindingFlag),
        }
    }

    fn challenge(&self, opening: &Opening, credentials: Option<&Credentials>) -> Challenged {
        let known = credentials.and_then(|credentials| credentials.keys(self.hash));
        let decoy = self.realm.decoys.keys(self.hash, &opening.account);
        let keys = known.unwrap_or(&decoy);
        let nonce = format!("{}{}", opening.client_nonce, self.server_nonce.0);
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(keys.salt()), keys.iterations());
        Challenged {
            nonce,
            server_first,
            stored_key: keys.stored_key().clone(),
            server_key: keys.server_key().clone(),
            known: Choice::from(u8::from(known.is_some())),
            disabled: credentials.is_some_and(|credentials| credentials.disabled),
            mark: credentials.map(|credentials| credentials.mark),
        }
    }

    /// The order matters: nothing about the account is told before the proof was right.
    fn close(&self, opening: Opening, sent: &Challenged, data: &[u8]) -> Result<Success, Failure> {
        let last = ClientFinal::parse(data)?;
        if !bool::from(last.cbind_input.ct_eq(&opening.cbind_input)) {
            return Err(Failure::BindingMismatch);
        }
        if last.nonce != sent.nonce {
            return Err(Failure::Nonce);
        }
        let auth_message =
            [&opening.client_first_bare, ",", &sent.server_first, ",", last.without_proof].map(str::as_bytes);
        if !bool::from(self.is_proof(&last.proof, sent, &auth_message) & sent.known) {
            return Err(Failure::Credentials);
        }
        let identity = authorize(opening.account, opening.authzid.as_deref())?;
        if sent.disabled {
            return Err(Failure::AccountDisabled);
        }
        let signature = self.hash.hmac(sent.server_key.as_bytes(), &auth_message);
        let data = format!("v={}", STANDARD.encode(signature.as_bytes())).into_bytes();
        let (mark, binding) = (sent.mark, opening.binding);
        Ok(Success { identity, data: Some(data), binding, mark, password: None })
    }

    /// H(ClientProof XOR ClientSignature) = StoredKey (RFC 5802 §3).
    fn is_proof(&self, proof: &[u8], sent: &Challenged, auth_message: &[&[u8]]) -> Choice {
        // A proof of a wrong length is the peer's doing and tells it nothing about the account.
        let Some(proof) = HashValue::from_bytes(self.hash, proof) else { return Choice::from(0) };
        let client_key = self.hash.hmac(sent.stored_key.as_bytes(), auth_message).xor(&proof);
        self.hash.digest(client_key.as_bytes()).ct_eq(&sent.stored_key)
    }
}

impl Machine for Scram {
    fn step(&mut self, data: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => match self.open(data) {
                Err(why) => Step::Fail(why),
                Ok(opening) => {
                    let account = opening.account.clone();
                    self.state = State::Account(opening);
                    Step::Need(Lookup { account })
                }
            },
            State::Final(opening, sent) => match self.close(opening, &sent, data) {
                Ok(success) => Step::Done(success),
                Err(why) => Step::Fail(why),
            },
            State::Account(_) | State::Over => Step::Fail(Failure::OutOfOrder),
        }
    }

    fn credentials(&mut self, credentials: Option<&Credentials>) -> Step {
        let State::Account(opening) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Fail(Failure::OutOfOrder);
        };
        let sent = self.challenge(&opening, credentials);
        let challenge = sent.server_first.clone().into_bytes();
        self.state = State::Final(opening, Box::new(sent));
        Step::Challenge(challenge)
    }
}
