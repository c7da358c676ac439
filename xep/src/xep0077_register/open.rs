//! Registration of strangers, before they log in (§3.1.1).

use std::sync::Arc;

use hearth_core::iq::{IqResult, Reply, Verb};
use hearth_core::registry::AccountError;
use hearth_core::stream::register::PreAuthCall;
use hearth_wire::{ErrorType, Payload, StanzaCondition, StanzaError, XmlWriter};

use super::request::{self, Fields, Request};
use super::{Config, NS, Office, names, refusal};
use crate::vocab::data_form::{DataForm, Field, FieldKind, FormKind};

/// Answers a stranger.
pub(super) async fn answer(office: Arc<Office>, call: PreAuthCall) -> IqResult {
    let config = office.config.now();
    if !config.open {
        // §3.1
        return Err(StanzaError::new(StanzaCondition::ServiceUnavailable));
    }
    match call.verb {
        Verb::Get => Ok(Reply::Result(form(&config.instructions))),
        Verb::Set => match request::read(&call.element()?)? {
            // §3.2: who is nobody has nothing to remove
            Request::Remove => Err(StanzaError::new(StanzaCondition::UnexpectedRequest)),
            Request::Set(fields) => make(&office, &config, &call, fields).await,
        },
    }
}

/// What has to be given, for old and new clients (§6).
fn form(instructions: &str) -> Payload {
    let mut writer = XmlWriter::new();
    writer.open("query", NS).open("instructions", NS).text(instructions).close();
    writer.open("username", NS).close().open("password", NS).close();
    DataForm::new(FormKind::Form)
        .title("New account")
        .instruction(instructions)
        .purpose(NS)
        .field(Field::new(FieldKind::TextSingle, "username").label("Name").required())
        .field(Field::new(FieldKind::TextPrivate, "password").label("Password").required())
        .write(&mut writer);
    writer.close();
    writer.into_payload()
}

async fn make(office: &Office, config: &Config, call: &PreAuthCall, fields: Fields) -> IqResult {
    let missing = || StanzaError::new(StanzaCondition::NotAcceptable).with_text("give username and password");
    let given = |field: Option<String>| field.filter(|text| !text.is_empty()).ok_or_else(missing);
    let (name, password) = (given(fields.username)?, given(fields.password)?);
    let jid = names::new_account(&name, &call.host.domain, config, &call.server.settings().admins)?;
    let unlimited = config.loopback_unlimited && call.peer.to_canonical().is_loopback();
    // names that are taken count too: so nobody can find out all of them
    if !unlimited && !office.rate.admit(config, call.peer, call.server.now_ms()) {
        office.refused.up();
        let error = StanzaError::new(StanzaCondition::ResourceConstraint).with_type(ErrorType::Wait);
        return Err(error.with_text("too many accounts are being made; try again in an hour"));
    }
    match call.server.account(&jid).await {
        Ok(_) => return Err(refusal(AccountError::Exists(jid))),
        Err(AccountError::Unknown(_)) => {}
        Err(error) => return Err(refusal(error)),
    }
    let keys = office.derive(&password).await?;
    call.server.create_account(&jid, &keys).await.map_err(refusal)?;
    office.made.up();
    tracing::info!(account = %jid, peer = %call.peer, "an account was registered");
    Ok(Reply::empty())
}
