//! Commands on single accounts.

use std::sync::Arc;

use hearth_wire::{BareJid, Jid};

use crate::command::{Answer, CommandCall, CommandError};
use crate::offline::stamp;
use crate::registry;
use crate::sasl::{Credentials, Password, ScramHash};
use crate::server::Server;

pub(super) async fn add(call: CommandCall) -> Result<Answer, CommandError> {
    let jid = call.account("accountjid")?;
    let keys = keys_of_password(&call).await?;
    call.server.create_account(&jid, &keys).await?;
    Ok(Answer::text(format!("{jid} was made")))
}

pub(super) async fn password(call: CommandCall) -> Result<Answer, CommandError> {
    let jid = call.account("accountjid")?;
    let keys = keys_of_password(&call).await?;
    call.server.set_keys(&jid, &keys, None).await?;
    Ok(Answer::text(format!("{jid} has a new password")))
}

async fn keys_of_password(call: &CommandCall) -> Result<Credentials, CommandError> {
    let password =
        Password::new(call.text("password")?).map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(registry::derive(password).await?)
}

pub(super) async fn disable(call: CommandCall) -> Result<Answer, CommandError> {
    each(&call, async |server, jid| {
        server.set_disabled(jid, true).await?;
        Ok(format!("{jid} is disabled"))
    })
    .await
}

pub(super) async fn enable(call: CommandCall) -> Result<Answer, CommandError> {
    each(&call, async |server, jid| {
        server.set_disabled(jid, false).await?;
        Ok(format!("{jid} is enabled"))
    })
    .await
}

pub(super) async fn remove(call: CommandCall) -> Result<Answer, CommandError> {
    each(&call, async |server, jid| {
        server.remove_account(jid).await?;
        Ok(format!("{jid} was removed"))
    })
    .await
}

/// Does something to each account that is named; the first that fails ends it, and what was done by then is told.
async fn each<F>(call: &CommandCall, work: F) -> Result<Answer, CommandError>
where
    F: AsyncFn(&Arc<Server>, &BareJid) -> Result<String, CommandError>,
{
    let mut done = Vec::new();
    let mut jids = Vec::new();
    for text in call.text("accountjids")?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        jids.push(stored(call, text).await?);
    }
    for jid in jids {
        match work(&call.server, &jid).await {
            Ok(line) => done.push(line),
            Err(error) => return Err(error.after(&done)),
        }
    }
    Ok(Answer::text(done.join("\n")))
}

/// The address of an account on a host served here, or on a domain that was one and has accounts all the same
/// ([`crate::unserved`]).
pub(super) async fn stored(call: &CommandCall, text: &str) -> Result<BareJid, CommandError> {
    let refused = match call.account_of(text) {
        Err(error @ CommandError::NotFound(_)) => error,
        other => return other,
    };
    let Ok(jid) = Jid::parse(text) else { return Err(refused) };
    if call.server.count_accounts(jid.domain()).await? == 0 {
        return Err(refused);
    }
    Ok(jid.to_bare())
}

/// Whether somebody can log in to an account of this domain.
pub(super) fn login(server: &Server, domain: &str, disabled: bool) -> &'static str {
    match (server.host(domain), disabled) {
        (None, _) => "no host",
        (Some(_), true) => "disabled",
        (Some(_), false) => "enabled",
    }
}

pub(super) async fn show(call: CommandCall) -> Result<Answer, CommandError> {
    let jid = stored(&call, call.text("accountjid")?).await?;
    let account = call.server.account(&jid).await?;
    let keys = call.server.credentials(&jid).await?.unwrap_or_default();
    let hashes = ScramHash::ALL.into_iter().filter(|hash| keys.keys(*hash).is_some());
    let mechanisms: Vec<&str> = hashes.map(ScramHash::scheme).collect();
    let (contacts, offline, sessions) = account.with(|state| {
        let sessions: Vec<String> =
            state.resources.iter().map(|resource| resource.session.resource().to_owned()).collect();
        (state.roster.items().iter().filter(|item| item.listed).count(), state.log.has_offline, sessions)
    });
    let facts = [
        ("account", jid.to_string()),
        ("created", stamp(account.created_ms)),
        ("login", login(&call.server, jid.domain(), keys.disabled).to_owned()),
        ("keys", mechanisms.join(" ")),
        ("contacts", contacts.to_string()),
        ("offline messages", if offline { "waiting" } else { "none" }.to_owned()),
        ("sessions", sessions.join(" ")),
    ];
    let rows = facts.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
    Ok(Answer { text: String::new(), columns: vec!["what", "value"], rows })
}
