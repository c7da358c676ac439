//! Many accounts at once, with the keys they had elsewhere: nobody has to choose a new password.
//!
//! A line is an address and its SCRAM keys in the form of RFC 5803, with spaces between: `user@domain SCRAM-SHA-1$… …`.

use std::collections::BTreeSet;

use hearth_wire::{BareJid, Jid};

use crate::command::{Answer, CommandCall, CommandError};
use crate::key_tally;
use crate::sasl::{Credentials, Shape};
use crate::server::Server;

pub(super) async fn import(call: CommandCall) -> Result<Answer, CommandError> {
    let lines = call.get("accounts").unwrap_or_default().lines();
    let accounts = lines.filter_map(|line| read(&call, line).transpose()).collect::<Result<Vec<_>, _>>()?;
    if accounts.is_empty() {
        return Err(CommandError::Usage("there is no account among the lines".to_owned()));
    }
    let given = accounts.len();
    if !call.flag("withhold")? {
        accounts.iter().try_for_each(|(jid, keys)| keeps_what_is_offered(&call.server, jid, keys))?;
    }
    let hosts: BTreeSet<String> = accounts.iter().map(|(jid, _)| jid.domain().to_owned()).collect();
    let made = call.server.import_accounts(accounts).await?;
    let withheld: Vec<String> = hosts.iter().filter_map(|host| withheld(&call.server, host)).collect();
    let row = |what: &str, count: usize| vec![what.to_owned(), count.to_string()];
    Ok(Answer {
        text: withheld.join("\n"),
        columns: vec!["accounts", "number"],
        rows: vec![row("made", made), row("there already, left as they are", given - made)],
    })
}

/// Clients remember the best mechanism they were offered, and some insist on it (against downgrade attacks): what a host
/// offers its users must not shrink by accident.
fn keeps_what_is_offered(server: &Server, jid: &BareJid, keys: &Credentials) -> Result<(), CommandError> {
    let held = server.key_tally().held_by_all(jid.domain());
    let Some(missing) = held.into_iter().find(|hash| !Shape::from(keys).has(*hash)) else { return Ok(()) };
    Err(CommandError::Conflict(format!(
        "{jid} comes without keys for {0}, which {1} offers its users now. It would have to withhold {0} from all of \
         them, and clients that insist on it would not log in. Import into a host of its own, or set `withhold` \
         (--withhold on the command line); nothing of this part was imported",
        missing.scheme(),
        jid.domain(),
    )))
}

/// What the host does not offer now, and what can be done about it.
fn withheld(server: &Server, host: &str) -> Option<String> {
    let withheld = key_tally::describe(&server.key_tally().withheld(host))?;
    Some(format!("{host} does not offer {withheld}. {}", key_tally::WITHHELD_UNTIL))
}

fn read(call: &CommandCall, line: &str) -> Result<Option<(BareJid, Credentials)>, CommandError> {
    let wrong = |why: String| CommandError::Usage(format!("{why}; nothing of this part was imported"));
    let Some((address, keys)) = shape(line).map_err(wrong)? else { return Ok(None) };
    let jid = call.account_of(address).map_err(|error| wrong(format!("{address}: {error}")))?;
    Ok(Some((jid, keys)))
}

/// Whether there is an account in a line, or why it cannot be taken ([`crate::command::LineCheck`]).
pub(super) fn check(line: &str) -> Result<bool, String> {
    Ok(shape(line)?.is_some())
}

/// Address and keys of a line; `None`: it is empty or a comment.
fn shape(line: &str) -> Result<Option<(&str, Credentials)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (address, keys) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    // the line itself is secret: only what is an address may be shown
    let jid = Jid::parse(address).ok().filter(|jid| jid.local().is_some() && jid.is_bare());
    if jid.is_none() {
        return Err("it does not begin with an address of the form user@domain".to_owned());
    }
    match Credentials::from_text(keys, false) {
        Err(error) => Err(format!("{address}: {error}")),
        Ok(keys) if keys.is_empty() => Err(format!("{address}: no keys")),
        Ok(keys) => Ok(Some((address, keys))),
    }
}
