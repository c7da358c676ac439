//! SASL as RFC 6120 §6 frames it: `<auth/>`, `<challenge/>`, `<response/>`, `<abort/>`, `<success/>`, `<failure/>`.

use std::sync::Arc;

use hearth_wire::{Nonza, Payload, XmlWriter, ns};

use crate::host::Host;
use crate::random;
use crate::sasl::{
    Credentials, Exchange, Failure, Offer, ServerNonce, Step, decode, decode_initial, encode_challenge,
    encode_success,
};
use crate::server::Server;

/// Writes `<mechanisms/>`, unless there are none.
pub(crate) fn write_features(offer: &Offer, writer: &mut XmlWriter) {
    if offer.mechanisms().is_empty() {
        return;
    }
    writer.open("mechanisms", ns::SASL);
    for mechanism in offer.mechanisms() {
        writer.open("mechanism", ns::SASL).text(mechanism.name()).close();
    }
    writer.close();
}

/// Why an exchange could not begin.
pub(crate) enum Refused {
    Failure(Failure),
    Internal,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Login {
    exchange: Exchange,
}

impl Login {
    /// `<auth/>`.
    pub(crate) fn start(
        server: &Server,
        host: &Host,
        offer: &Arc<Offer>,
        auth: &Nonza,
    ) -> Result<(Self, Step), Refused> {
        let name = auth.attr("mechanism").ok_or(Failure::Mechanism)?;
        let nonce = ServerNonce::new(&random::bytes().map_err(|_| Refused::Internal)?);
        let realm = Arc::new(server.realm(host));
        let mut exchange = Exchange::start(&realm, offer, name, nonce)?;
        let initial = decode_initial(&auth.text())?;
        let step = exchange.step(initial.as_ref().map(|data| data.as_slice()));
        Ok((Self { exchange }, step))
    }

    /// `<response/>` or `<abort/>`.
    pub(crate) fn respond(&mut self, nonza: &Nonza) -> Result<Step, Failure> {
        match &*nonza.name {
            "response" => Ok(self.exchange.step(Some(&decode(&nonza.text())?))),
            "abort" => Err(Failure::Aborted),
            _ => Err(Failure::OutOfOrder),
        }
    }

    pub(crate) fn credentials(&mut self, found: Option<&Credentials>) -> Step {
        self.exchange.credentials(found)
    }

    pub(crate) fn is_heavy(&self) -> bool {
        self.exchange.is_heavy()
    }

    pub(crate) fn mechanism_name(&self) -> &'static str {
        self.exchange.mechanism().name()
    }
}

pub(crate) fn challenge(data: &[u8]) -> Payload {
    with_text("challenge", &encode_challenge(data))
}

pub(crate) fn success(data: Option<&[u8]>) -> Payload {
    with_text("success", &encode_success(data))
}

fn with_text(name: &str, text: &str) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open(name, ns::SASL);
    if !text.is_empty() {
        writer.text(text);
    }
    writer.close();
    writer.into_payload()
}

pub(crate) fn failure(failure: Failure) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("failure", ns::SASL).open(failure.condition().name(), ns::SASL).close();
    writer.open("text", ns::SASL).attr("xml:lang", "en").text(&failure.to_string()).close();
    writer.close();
    writer.into_payload()
}
