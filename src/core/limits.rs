//! The limits of the server, each with its reason (design: a limit on everything).
//!
//! Constants are what the code relies on; [`Limits`] is what an operator may set. Not here is what says nothing outside of
//! the file or folder where it stands; a test knows that there are no others:
//!
//! - `src/wire/attribute.rs`, `src/wire/building.rs`, `src/wire/scope.rs`: attributes of an element, how much longer it may
//!   be as written, declarations in force. `src/wire/jid.rs`, `src/wire/jid/`: the parts of an address.
//! - `src/core/sasl.rs`, `src/core/sasl/`: messages, passwords, keys. `src/core/stream/header.rs`: languages.
//! - `src/core/offline.rs`, `src/net/outgoing.rs`: how much is handed on at a time.
//! - `src/core/admin/list.rs`, `src/core/command.rs`, `src/core/control.rs`, `src/core/unserved.rs`: what admins ask for and
//!   are told.
//! - `src/net/tls/`: keys and files, and what a handshake holds.
//! - `src/store/`: reads and writes at a time, names, pages. `xep/`: what each extension keeps.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// RFC 6120 §13.12 allows no less than 10,000 bytes a stanza; before authentication nobody gets more.
pub const PRE_AUTH_STANZA_BYTES_MAX: u32 = 10_000;
/// An honest login stanza has a handful of elements.
pub const PRE_AUTH_ELEMENTS_MAX: u32 = 32;
/// Deep nesting costs stack and time in every parser behind us; clients give up at 128.
pub const DEPTH_MAX: u32 = 100;
/// Elements of one stanza after authentication: many small elements cost more than their bytes say.
pub const ELEMENTS_MAX: u32 = 20_000;
/// A stanza as written, with its namespaces where they are used, may be so much longer than four times what was received:
/// one of 10,000 bytes with a prefix on each element and attribute is (RDF, for example), an echo for attackers is not.
pub const EXPANSION_BYTES_MAX: u32 = 64 * 1024;
/// The same before authentication, where nothing has a prefix.
pub const PRE_AUTH_EXPANSION_BYTES_MAX: u32 = 1_024;
/// Failed SASL attempts on one stream (RFC 6120 §6.4.5 asks for 2 to 5).
pub const SASL_ATTEMPTS_MAX: u8 = 5;
/// Exchanges of any outcome on one stream: some clients try every mechanism before they find one they can finish.
pub const SASL_EXCHANGES_MAX: u8 = 20;
/// Iqs answered on one stream before authentication: a registration takes two, with mistakes a few more.
pub const PRE_AUTH_IQS_MAX: u8 = 20;
/// Requests to subscribe that one account keeps unanswered; further ones are dropped (RFC 6121 §3.1.3, warning).
pub const PENDING_REQUESTS_MAX: usize = 200;
/// Content of such a request, which is kept whole; a larger one is refused.
pub const PENDING_REQUEST_BYTES_MAX: usize = 4_096;
/// Content of a presence: it goes to every contact, and is kept as long as the resource is available.
pub const PRESENCE_BYTES_MAX: usize = 32 * 1024;
/// Failed attempts to bind on one stream (RFC 6120 §7.7.3 asks for 5 to 10).
pub const BIND_ATTEMPTS_MAX: u8 = 10;
/// A client that cannot keep up may not hold our memory: its queue ends here, and so does its session.
pub const SESSION_QUEUE_BYTES_MAX: usize = 2 << 20;
/// Content of stanzas that come back to their senders all at once; if it is more, they come back without it. Otherwise the
/// end of one session that did not read could fill the queues of those who wrote to it, and end them too.
pub const BOUNCED_CONTENT_BYTES_MAX: usize = SESSION_QUEUE_BYTES_MAX / 8;
/// Stanzas of one session that are stored but not yet committed: the read window of its stream.
pub const SESSION_COMMITS_MAX: usize = 256;
/// Stanzas of one account that wait for a commit, from all senders together.
pub const ACCOUNT_WAITING_MAX: usize = 4_096;
/// Entities one session has sent directed presence to and not taken back (RFC 6121 §4.6); more is refused.
pub const DIRECTED_PRESENCE_MAX: usize = 1_000;
/// Offline messages read and handed to a session at a time.
pub const OFFLINE_PAGE_ROWS: u32 = 100;
/// Offline messages counted when an account is loaded: beyond, it counts as having this many.
pub const OFFLINE_COUNTED_MAX: u32 = 100_000;
/// Answers that a client before its login may leave unread until we stop reading too.
pub const UNREAD_ANSWERS_BYTES_MAX: usize = 16 * 1024;
/// Addresses, or pairs of address and account, that each limit per address remembers.
pub const ADDRESSES_REMEMBERED_MAX: usize = 50_000;
/// Removed contacts of an account remembered for interim pushes (RFC 6121 §2.6.3).
pub const ROSTER_GONE_MAX: i64 = 256;
/// How long streams have to end when the server stops.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(10);
/// How long they have once they are forced: the time of a few commits.
pub const SHUTDOWN_FORCED_MAX: Duration = Duration::from_secs(5);
/// Descriptors that no connection gets, so that admins, the database and certificates find some …
pub const DESCRIPTORS_KEPT_MAX: u64 = 64;
/// … but no more than this part of those that the system allows: one in eight.
pub const DESCRIPTORS_KEPT_SHARE: u64 = 8;
/// Loaded accounts without a session; beyond, the idle ones are let go.
pub const IDLE_ACCOUNTS_MAX: usize = 50_000;
/// Names remembered as not existing, so that a flood to unknown users costs no query each.
pub const UNKNOWN_ACCOUNTS_MAX: usize = 10_000;
/// Audit lines about commands that were refused: every user can cause them, and the log's disk has an end.
pub const REFUSALS_TOLD_PER_MINUTE_MAX: u32 = 60;

const _: () = assert!(PRE_AUTH_STANZA_BYTES_MAX >= 10_000);
const _: () = assert!(SESSION_QUEUE_BYTES_MAX >= 2 * 262_144);

/// What clients may do, how much, and how long the server waits for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest stanza of a logged-in client, in bytes (10000 at least).
    pub stanza_bytes_max: u32,
    /// Seconds a connection may take from its start to a bound resource.
    pub login_s_max: u32,
    /// Seconds a stanza may take from its first to its last byte.
    pub stanza_s_max: u32,
    /// Seconds the server waits for the client's closing tag after sending its own.
    pub close_s_max: u32,
    /// Connections that are not logged in yet, all together.
    pub connections_before_login_max: u32,
    /// Connections that are not logged in yet, from one address (IPv4) or /64 network (IPv6).
    pub connections_before_login_per_address_max: u32,
    /// Connections from one address (IPv4) or /64 network (IPv6) in one minute; 0: no limit. Behind one address there
    /// may be a whole company, which comes back at once after a restart.
    pub connections_per_address_and_minute_max: u32,
    /// How many of these may come at once; 0: no limit.
    pub connections_per_address_burst_max: u32,
    /// Failed logins to one account from one address (IPv4) or /64 network (IPv6) in ten minutes; 0: no limit. Beyond,
    /// that account cannot be logged in to from there for a while; from elsewhere it can, and so can others from there.
    pub failed_logins_per_account_and_address_max: u32,
    /// Failed logins to all accounts from one address or network in ten minutes; 0: no limit. Beyond, nobody can log in
    /// from there for a while: so it is much wider, and only there to stop those who try many accounts.
    pub failed_logins_per_address_max: u32,
    /// Sessions of one account at the same time.
    pub sessions_per_account_max: u32,
    /// Sessions of guests (SASL ANONYMOUS) from one address or network at the same time; 0: no limit.
    pub guests_per_address_max: u32,
    /// Whether connections from this machine itself, for example of a proxy, are free of what is limited per address.
    /// Failed logins to one account are counted all the same.
    pub loopback_unlimited: bool,
    /// Contacts in one roster.
    pub roster_items_max: u32,
    /// Groups of one contact.
    pub roster_groups_max: u32,
    /// Bytes of a contact's or group's name.
    pub roster_name_bytes_max: u32,
    /// Offline messages kept for one account; further ones are refused with an error.
    pub offline_messages_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes_max: 262_144,
            login_s_max: 60,
            stanza_s_max: 60,
            close_s_max: 5,
            connections_before_login_max: 10_000,
            connections_before_login_per_address_max: 200,
            connections_per_address_and_minute_max: 300,
            connections_per_address_burst_max: 500,
            failed_logins_per_account_and_address_max: 10,
            failed_logins_per_address_max: 300,
            sessions_per_account_max: 30,
            guests_per_address_max: 100,
            loopback_unlimited: true,
            roster_items_max: 2_000,
            roster_groups_max: 50,
            roster_name_bytes_max: 1_023,
            offline_messages_max: 10_000,
        }
    }
}
