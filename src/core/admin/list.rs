//! Lists, in the order of addresses and in pages: a server may have more accounts than an answer can hold.

use std::sync::Arc;

use hearth_wire::Jid;

use crate::admin::accounts::{login, stored};
use crate::command::{Answer, CommandCall, CommandError};
use crate::host::Host;
use crate::offline::stamp;
use crate::session::Session;

const LIMIT: u32 = 1_000;
const LIMIT_MAX: u32 = 10_000;

fn limit(call: &CommandCall) -> Result<u32, CommandError> {
    match call.number("limit")? {
        Some(0) => Err(CommandError::Usage("limit is at least 1".to_owned())),
        limit => Ok(limit.unwrap_or(LIMIT).min(LIMIT_MAX)),
    }
}

/// The hosts that are asked about, by name.
fn hosts(call: &CommandCall) -> Result<Vec<Arc<Host>>, CommandError> {
    let mut hosts = match call.host("host")? {
        Some(host) => vec![host],
        None => call.server.hosts().all().cloned().collect(),
    };
    hosts.sort_by(|a, b| a.domain.cmp(&b.domain));
    Ok(hosts)
}

/// The domains whose accounts are asked about, by name: hosts, and what was one and has accounts all the same.
async fn domains(call: &CommandCall) -> Result<Vec<String>, CommandError> {
    let mut unserved = call.server.unserved().await?;
    let named = call.get("host").map(|text| hearth_wire::jid::prepare_domain(text).unwrap_or_default());
    let hosts = match &named {
        Some(named) if unserved.iter().any(|other| other.domain == *named) => Vec::new(),
        _ => hosts(call)?,
    };
    unserved.retain(|other| named.as_ref().is_none_or(|named| other.domain == *named));
    let hosts = hosts.iter().map(|host| host.domain.domain().to_owned());
    let mut domains: Vec<String> = hosts.chain(unserved.into_iter().map(|other| other.domain)).collect();
    domains.sort();
    Ok(domains)
}

pub(super) async fn accounts(call: CommandCall) -> Result<Answer, CommandError> {
    let limit = limit(&call)?;
    let after = match call.get("after") {
        Some(text) => Some(stored(&call, text).await?),
        None => None,
    };
    let (after_domain, after_local) = match &after {
        Some(jid) => (jid.domain(), jid.local().unwrap_or_default()),
        None => ("", ""),
    };
    let (mut rows, mut total) = (Vec::new(), 0);
    for domain in domains(&call).await? {
        let domain = domain.as_str();
        total += call.server.count_accounts(domain).await?;
        let left = limit - u32::try_from(rows.len()).unwrap_or(limit);
        if left == 0 || domain < after_domain {
            continue;
        }
        let from = if domain == after_domain { after_local } else { "" };
        for account in call.server.list_accounts(domain, from, left).await? {
            let jid = format!("{}@{domain}", account.localpart);
            let login = login(&call.server, domain, account.disabled);
            let online =
                call.server.accounts().loaded(&jid).map_or(0, |a| a.with(|state| state.resources.len()));
            rows.push(vec![jid, login.to_owned(), stamp(account.created_ms), online.to_string()]);
        }
    }
    let text = format!("{} of {total} accounts", rows.len());
    Ok(Answer { text, columns: vec!["account", "login", "created", "sessions"], rows })
}

pub(super) async fn sessions(call: CommandCall) -> Result<Answer, CommandError> {
    let limit = limit(&call)? as usize;
    let hosts = hosts(&call)?;
    let after = call.get("after").map(Jid::parse).transpose();
    let after = after.map_err(|error| CommandError::Usage(format!("after: {error}")))?;
    let after = after.as_ref().map_or("", Jid::as_str);
    let mut found: Vec<(Arc<Session>, Option<i8>)> = Vec::new();
    let mut total = 0_usize;
    call.server.accounts().for_each(|account| {
        if !hosts.iter().any(|host| host.domain.domain() == account.jid.domain()) {
            return;
        }
        account.with(|state| {
            total += state.resources.len();
            let shown = state.resources.iter().filter(|resource| resource.session.jid.as_str() > after);
            found.extend(shown.map(|resource| {
                (Arc::clone(&resource.session), resource.is_available().then_some(resource.priority))
            }));
        });
        // never more in hand than a few pages, however many there are
        if found.len() >= 4 * LIMIT_MAX as usize {
            keep_first(&mut found, limit);
        }
    });
    keep_first(&mut found, limit);
    let now_ms = call.server.now_ms();
    let rows: Vec<_> = found.iter().map(|(session, priority)| row(session, *priority, now_ms)).collect();
    let columns = vec!["session", "priority", "from", "tls", "mechanism", "since", "idle_s"];
    Ok(Answer { text: format!("{} of {total} sessions", rows.len()), columns, rows })
}

fn keep_first(found: &mut Vec<(Arc<Session>, Option<i8>)>, limit: usize) {
    found.sort_by(|(a, _), (b, _)| a.jid.as_str().cmp(b.jid.as_str()));
    found.truncate(limit);
}

fn row(session: &Session, priority: Option<i8>, now_ms: i64) -> Vec<String> {
    let connected = &session.connected;
    vec![
        session.jid.to_string(),
        priority.map_or_else(|| "unavailable".to_owned(), |priority| priority.to_string()),
        connected.peer.to_string(),
        connected.tls.as_deref().unwrap_or("none").to_owned(),
        connected.mechanism.to_owned(),
        stamp(connected.since_ms),
        (now_ms.saturating_sub(session.active_ms()) / 1_000).to_string(),
    ]
}
