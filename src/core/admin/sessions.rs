//! Ending sessions by hand.

use hearth_wire::{Jid, StreamCondition};

use crate::command::{Answer, CommandCall, CommandError};
use crate::ended::Ended;
use crate::outbox::End;

pub(super) async fn kick(call: CommandCall) -> Result<Answer, CommandError> {
    let reason = call.get("reason").unwrap_or("an admin ended this session");
    let mut lines = Vec::new();
    for jid in call.jids("accountjids")? {
        match end(&call, &jid, reason) {
            0 => return Err(CommandError::NotFound(format!("{jid} has no session here")).after(&lines)),
            1 => lines.push(format!("{jid}: 1 session ended")),
            n => lines.push(format!("{jid}: {n} sessions ended")),
        }
    }
    Ok(Answer::text(lines.join("\n")))
}

/// Ends the session of a full address, or all of a bare one; answers how many.
fn end(call: &CommandCall, jid: &Jid, reason: &str) -> usize {
    let Some(account) = call.server.accounts().loaded(jid.bare_str()) else { return 0 };
    account.with(|state| {
        let meant = |name: &str| jid.resource().is_none_or(|wanted| wanted == name);
        let meant = state.resources.iter().filter(|resource| meant(resource.session.resource()));
        meant
            .map(|resource| {
                let condition = Some(StreamCondition::PolicyViolation);
                let why = Ended::Kicked;
                resource.session.outbox.end(End { condition, text: Some(reason.to_owned()), why });
            })
            .count()
    })
}
