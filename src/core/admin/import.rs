//! Many accounts at once, with the keys they had elsewhere: nobody has to choose a new password.
//!
//! A line is an address and its SCRAM keys in the form of RFC 5803, with spaces between: `user@domain SCRAM-SHA-1$… …`.

use std::collections::BTreeSet;

use hearth_wire::BareJid;

use crate::command::{Answer, CommandCall, CommandError};
use crate::key_tally;
use crate::sasl::{Credentials, Shape};
use crate::server::Server;

pub(super) async fn import(call: CommandCall) -> Result<Answer, CommandError> {
    let lines = call.text("accounts")?.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let accounts = lines.map(|line| read(&call, line)).collect::<Result<Vec<_>, _>>()?;
    let given = accounts.len();
    if !call.flag("withhold")? {
        accounts.iter().try_for_each(|(jid, keys)| keeps_what_is_offered(&call.server, jid, keys))?;
    }
    let hosts: BTreeSet<String> = accounts.iter().map(|(jid, _)| jid.domain().to_owned()).collect();
    let made = call.server.import_accounts(accounts).await?;
    let mut lines = vec![match given - made {
        0 => format!("{made} accounts were made"),
        there => format!("{made} accounts were made; {there} exist already and were left as they are"),
    }];
    lines.extend(hosts.iter().filter_map(|host| withheld(&call.server, host)));
    Ok(Answer::text(lines.join("\n")))
}

/// Clients remember the best mechanism they were offered, and some insist on it (against downgrade attacks): what a host
/// offers its users must not shrink by accident.
fn keeps_what_is_offered(server: &Server, jid: &BareJid, keys: &Credentials) -> Result<(), CommandError> {
    let held = server.key_tally().held_by_all(jid.domain());
    let Some(missing) = held.into_iter().find(|hash| !Shape::from(keys).has(*hash)) else { return Ok(()) };
    Err(CommandError::Conflict(format!(
        "{jid} comes without keys for {0}, which {1} offers its users now. It would have to withhold {0} from all of \
         them, and clients that insist on it would not log in. Import into a host of its own, or say `withhold`; nothing \
         of this part was imported",
        missing.scheme(),
        jid.domain(),
    )))
}

/// What the host does not offer now, and what can be done about it.
fn withheld(server: &Server, host: &str) -> Option<String> {
    let withheld = key_tally::describe(&server.key_tally().withheld(host))?;
    Some(format!("{host} does not offer {withheld}. {}", key_tally::WITHHELD_UNTIL))
}

fn read(call: &CommandCall, line: &str) -> Result<(BareJid, Credentials), CommandError> {
    let (address, keys) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    // the line itself is secret: only the address may be shown
    let wrong =
        |why: String| CommandError::Usage(format!("{address}: {why}; nothing of this part was imported"));
    let jid = call.account_of(address).map_err(|error| wrong(error.to_string()))?;
    let keys = Credentials::from_text(keys, false).map_err(|error| wrong(error.to_string()))?;
    if keys.is_empty() { Err(wrong("no keys".to_owned())) } else { Ok((jid, keys)) }
}
