//! What modules are told of afterwards. They cannot veto.

use std::sync::Arc;

use hearth_wire::Stanza;

use crate::account::Account;
use crate::server::Server;
use crate::session::Session;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A resource was bound.
    SessionBound(&'a Arc<Session>),
    /// A session ended.
    SessionEnded(&'a Arc<Session>),
    /// The last available resource of an account became unavailable; with the presence that said so.
    AccountWentAway {
        /// Whose.
        account: &'a Arc<Account>,
        /// Unavailable presence as broadcast.
        presence: &'a Stanza,
    },
    /// The configuration and certificates were read anew.
    Reloaded,
}

/// A module's code for events. Must be quick and must not wait.
pub type Listener = Box<dyn Fn(&Arc<Server>, &Event<'_>) + Send + Sync>;
