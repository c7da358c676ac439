//! XEP-0077: In-Band Registration, version 2.4.   https://xmpp.org/extensions/xep-0077.html
//!
//! Users change their password and remove their account. Where the configuration says so, strangers make accounts before
//! they log in. Old HTTP-like error codes (§9) are not sent: RFC 6120 has no place for them.

mod names;
mod open;
mod rate;
mod request;

use std::sync::Arc;

use hearth_core::error::Internal;
use hearth_core::iq::{Entity, IqCall, IqResult, Reply, Verb};
use hearth_core::live::Live;
use hearth_core::metrics::Counter;
use hearth_core::module::{Module, Registrar, SetupError, Support, Xep};
use hearth_core::registry::{self, AccountError};
use hearth_core::sasl::{Credentials, Password};
use hearth_core::session::Session;
use hearth_core::stream::feature::StreamFeature;
use hearth_core::stream::register::PreAuthEntry;
use hearth_wire::{Payload, Stanza, StanzaCondition, StanzaError, XmlWriter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use self::rate::Rate;
use self::request::{Fields, Request};

/// Registers, changes, removes.
pub(crate) const MODULE: Module = Module {
    name: "register",
    xeps: &[Xep { number: 77, version: "2.4", support: Support::Complete, title: "In-Band Registration" }],
    needs: &["disco"],
    register,
};

const NS: &str = "jabber:iq:register";
const FEATURE: &str = "http://jabber.org/features/iq-register";

/// Passwords whose keys are derived at the same time: each takes some milliseconds of one CPU.
const DERIVING_MAX: usize = 2;

/// Who may make accounts from a client.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Whether anybody may make an account. Who opens this invites spam: look after it.
    open: bool,
    /// Attempts to make an account in one hour, from one address (IPv4) or /64 network (IPv6); 0: no limit.
    attempts_per_address_and_hour: u32,
    /// Attempts to make an account in one hour, all together; 0: no limit.
    attempts_per_hour: u32,
    /// Whether connections from this machine itself are free of these two limits.
    loopback_unlimited: bool,
    /// Longest name, in characters.
    name_characters_max: u32,
    /// Names that nobody gets this way. The admins' own are refused in any case.
    reserved_names: Vec<String>,
    /// What a client shows above the form.
    instructions: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open: false,
            attempts_per_address_and_hour: 10,
            attempts_per_hour: 100,
            loopback_unlimited: false,
            name_characters_max: 64,
            reserved_names: names::RESERVED.iter().map(|name| (*name).to_owned()).collect(),
            instructions: "Choose a name and a password for your account.".to_owned(),
        }
    }
}

/// What all registrations share.
#[derive(Debug)]
struct Office {
    config: Live<Config>,
    rate: Rate,
    deriving: Semaphore,
    made: Counter,
    refused: Counter,
}

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    let office = Arc::new(Office {
        config: m.config(|_| Ok(()))?,
        rate: Rate::default(),
        deriving: Semaphore::new(DERIVING_MAX),
        made: m.metric("registrations_total", "Accounts made by clients"),
        refused: m.metric("registrations_limited_total", "Attempts to make an account refused by a limit"),
    });
    m.feature(Entity::Server, NS);
    let config = office.config.clone();
    m.stream_feature(
        StreamFeature::before_login("register", FEATURE)
            .only_if(move |_| config.now().open),
    );
    let strangers = Arc::clone(&office);
    m.iq_before_auth(PreAuthEntry {
        payload: (NS, "query"),
        handle: Arc::new(move |call| Box::pin(open::answer(Arc::clone(&strangers), call))),
    });
    for on in [Entity::Server, Entity::Own] {
        m.iq(Verb::Get, on, (NS, "query"), registered)?;
        let office = Arc::clone(&office);
        m.iq(Verb::Set, on, (NS, "query"), move |call| change(Arc::clone(&office), call))?;
    }
    Ok(())
}

/// The session, if the host that was asked holds its account.
fn member(call: &IqCall) -> Option<&Arc<Session>> {
    let session = call.session.as_ref()?;
    let account = &session.account;
    (account.id.is_some() && account.jid.domain() == call.host.domain.as_str()).then_some(session)
}

/// §3.1: what is on file. Nobody can make a second account with the first (§3.1.1).
async fn registered(call: IqCall) -> IqResult {
    let session = member(&call).ok_or(StanzaError::new(StanzaCondition::ServiceUnavailable))?;
    let mut writer = XmlWriter::new();
    writer.open("query", NS).open("registered", NS).close();
    writer
        .open("instructions", NS)
        .text("You have an account. A new password takes the place of the old one.")
        .close();
    writer.open("username", NS).text(session.account.jid.local().unwrap_or_default()).close();
    writer.open("password", NS).close().close();
    Ok(Reply::Result(writer.into_payload()))
}

/// §3.2, §3.3. A request that is refused is not repeated in the error: it may hold a password (§3.3).
async fn change(office: Arc<Office>, call: IqCall) -> IqResult {
    let outcome = match call.element().and_then(|query| request::read(&query)) {
        Ok(Request::Remove) => remove(&call).await,
        Ok(Request::Set(fields)) => set_password(&office, &call, fields).await,
        Err(error) => Err(error),
    };
    let (Err(error), Some(session)) = (&outcome, &call.session) else { return outcome };
    let blank = Stanza { payload: Arc::new(Payload::empty()), ..call.stanza.clone() };
    call.server.refuse(session, &blank, error);
    Ok(Reply::Sent)
}

/// §3.2: the account goes, with everything in it; then its sessions, this one after the result.
async fn remove(call: &IqCall) -> IqResult {
    let session = member(call).ok_or(StanzaError::new(StanzaCondition::RegistrationRequired))?;
    call.server.remove_account_of(session, call.result(Payload::empty())).await.map_err(refusal)?;
    Ok(Reply::Sent)
}

/// §3.3. Other sessions of the account end: whoever has the old password may hold them.
async fn set_password(office: &Office, call: &IqCall, fields: Fields) -> IqResult {
    let session = member(call).ok_or(StanzaError::new(StanzaCondition::UnexpectedRequest))?;
    if session.connected.tls.is_none() && !session.connected.peer.ip().to_canonical().is_loopback() {
        let error = StanzaError::new(StanzaCondition::NotAuthorized);
        return Err(error.with_text("a password is not changed over a connection that anybody can read"));
    }
    let missing = || StanzaError::new(StanzaCondition::BadRequest).with_text("give username and password");
    let (name, password) = (fields.username.ok_or_else(missing)?, fields.password.ok_or_else(missing)?);
    if !names::is_own(&name, &session.account.jid) {
        return Err(
            StanzaError::new(StanzaCondition::NotAcceptable).with_text("you have an account of another name")
        );
    }
    if password.is_empty() {
        return Err(missing());
    }
    let keys = office.derive(&password).await?;
    call.server.set_keys(&session.account.jid, &keys, Some(session.id)).await.map_err(refusal)?;
    Ok(Reply::empty())
}

impl Office {
    /// The keys of a new password.
    async fn derive(&self, password: &str) -> Result<Credentials, StanzaError> {
        let password = Password::new(password)
            .map_err(|error| StanzaError::new(StanzaCondition::NotAcceptable).with_text(error.to_string()))?;
        let _turn = self.deriving.acquire().await.map_err(|_| Internal::Task)?;
        Ok(registry::derive(password).await?)
    }
}

fn refusal(error: AccountError) -> StanzaError {
    match error {
        AccountError::Exists(_) => {
            StanzaError::new(StanzaCondition::Conflict).with_text("this name is taken")
        }
        AccountError::Address(_) => StanzaError::new(StanzaCondition::NotAcceptable),
        // removed in the meantime
        AccountError::Unknown(_) => StanzaError::new(StanzaCondition::RegistrationRequired),
        AccountError::Internal(cause) => cause.into(),
    }
}

#[cfg(test)]
mod tests;
