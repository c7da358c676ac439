//! What holds memory, by kind of object: counts that are exact, bytes that are estimates of our own making (allocator
//! and maps come on top). Walks everything that is loaded; for a person who asks, not for a timer.

use std::mem::size_of;

use crate::account::Account;
use crate::roster::RosterItem;
use crate::server::Server;
use crate::session::Session;

#[derive(Default)]
struct Held {
    count: usize,
    bytes: usize,
}

impl Held {
    fn add(&mut self, count: usize, bytes: usize) {
        self.count += count;
        self.bytes += bytes;
    }
}

/// Name, count and bytes of each kind.
pub(super) fn held(server: &Server) -> [(&'static str, usize, usize); 5] {
    let [mut accounts, mut contacts, mut sessions, mut queued, mut waiting] =
        std::array::from_fn(|_| Held::default());
    server.accounts().for_each(|account| {
        accounts.add(1, size_of::<Account>() + account.jid.as_str().len());
        account.with(|state| {
            let items = state.roster.items();
            contacts.add(items.len(), items.iter().map(weight).sum());
            for resource in &state.resources {
                let presence = resource.presence.as_ref().map_or(0, |presence| presence.weight_bytes());
                sessions.add(1, size_of::<Session>() + resource.session.jid.as_str().len() + presence);
                let (stanzas, bytes) = resource.session.outbox.load();
                queued.add(stanzas, bytes);
            }
            for leaving in &state.leaving {
                let (stanzas, bytes) = leaving.outbox.load();
                queued.add(stanzas, bytes);
            }
            let (stanzas, bytes) = state.late.as_ref().map_or((0, 0), |late| late.load());
            queued.add(stanzas, bytes);
            let (stanzas, bytes) = state.log.drain.as_ref().map_or((0, 0), |drain| drain.load());
            queued.add(stanzas, bytes);
            waiting.add(
                state.log.waiting.len(),
                state.log.waiting.iter().map(|w| w.stanza.weight_bytes()).sum(),
            );
        });
    });
    [
        ("accounts", accounts),
        ("contacts", contacts),
        ("sessions", sessions),
        ("stanzas to be read by clients", queued),
        ("stanzas to be stored", waiting),
    ]
    .map(|(name, held)| (name, held.count, held.bytes))
}

fn weight(item: &RosterItem) -> usize {
    let groups: usize = item.groups.iter().map(|group| size_of::<Box<str>>() + group.len()).sum();
    let request = item.request.as_ref().map_or(0, |request| request.weight_bytes());
    size_of::<RosterItem>()
        + item.jid.as_str().len()
        + item.name.as_ref().map_or(0, |name| name.len())
        + groups
        + request
}

/// What the system says that this process holds; `None` where it does not say it in Linux' way.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}
