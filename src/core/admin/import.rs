//! Many accounts at once, with the keys they had elsewhere: nobody has to choose a new password.
//!
//! A line is an address and its SCRAM keys in the form of RFC 5803, with spaces between: `user@domain SCRAM-SHA-1$… …`.

use hearth_wire::BareJid;

use crate::command::{Answer, CommandCall, CommandError};
use crate::sasl::Credentials;

pub(super) async fn import(call: CommandCall) -> Result<Answer, CommandError> {
    let lines = call.text("accounts")?.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let accounts = lines.map(|line| read(&call, line)).collect::<Result<Vec<_>, _>>()?;
    let given = accounts.len();
    let made = call.server.import_accounts(accounts).await?;
    Ok(Answer::text(match given - made {
        0 => format!("{made} accounts were made"),
        there => format!("{made} accounts were made; {there} exist already and were left as they are"),
    }))
}

fn read(call: &CommandCall, line: &str) -> Result<(BareJid, String), CommandError> {
    let (address, keys) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let jid = call.account_of("accounts", address)?;
    // the line itself is secret: only the address may be shown
    let wrong = |why: String| CommandError::Usage(format!("{jid}: {why}; nothing of this part was imported"));
    let keys = Credentials::from_text(keys, false).map_err(|error| wrong(error.to_string()))?;
    let text = keys.to_text().to_string();
    if text.is_empty() { Err(wrong("no keys".to_owned())) } else { Ok((jid, text)) }
}
