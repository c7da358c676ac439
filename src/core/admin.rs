//! The core's own admin commands: accounts, sessions, and the running server itself.
//!
//! Each is described here once and offered by every door ([`crate::command`]).

mod accounts;
mod import;
mod list;
mod memory;
mod sessions;
mod status;

use crate::command::{Arg, ArgKind, Command, CommandError};
use crate::module::{Module, Registrar, SetupError};
use crate::registry::AccountError;

/// The commands that every server has.
pub const MODULE: Module = Module { name: "admin", xeps: &[], needs: &[], register };

const ACCOUNT: Arg = Arg::required("accountjid", ArgKind::Account, "the account");
const ACCOUNTS: Arg = Arg::required("accountjids", ArgKind::Accounts, "one account or several");
const PASSWORD: Arg = Arg::required("password", ArgKind::Password, "its password");
const HOST: Arg = Arg::optional("host", ArgKind::Host, "only those of this host");
const AFTER: Arg = Arg::optional("after", ArgKind::Text, "go on behind this address");
const LIMIT: Arg = Arg::optional("limit", ArgKind::Number, "how many at most (1000; 10000 is the most)");

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    ALL.iter().try_for_each(|command| m.command(*command))
}

const ALL: &[Command] = &[
    Command {
        name: "account add",
        node: Some("add-user"),
        offline: true,
        help: "Make an account",
        args: &[ACCOUNT, PASSWORD],
        run: |call| Box::pin(accounts::add(call)),
    },
    Command {
        name: "account password",
        node: Some("change-user-password"),
        offline: true,
        help: "Set an account's password and end its sessions",
        args: &[ACCOUNT, PASSWORD],
        run: |call| Box::pin(accounts::password(call)),
    },
    Command {
        name: "account disable",
        node: Some("disable-user"),
        offline: true,
        help: "Keep an account, but end its sessions and let nobody log in",
        args: &[ACCOUNTS],
        run: |call| Box::pin(accounts::disable(call)),
    },
    Command {
        name: "account enable",
        node: Some("reenable-user"),
        offline: true,
        help: "Let a disabled account log in again",
        args: &[ACCOUNTS],
        run: |call| Box::pin(accounts::enable(call)),
    },
    Command {
        name: "account remove",
        node: Some("delete-user"),
        offline: true,
        help: "Remove an account with everything stored for it",
        args: &[ACCOUNTS],
        run: |call| Box::pin(accounts::remove(call)),
    },
    Command {
        name: "account show",
        node: None,
        offline: true,
        help: "Show what is known of an account",
        args: &[ACCOUNT],
        run: |call| Box::pin(accounts::show(call)),
    },
    Command {
        name: "account list",
        node: None,
        offline: true,
        help: "List accounts by address",
        args: &[HOST, AFTER, LIMIT],
        run: |call| Box::pin(list::accounts(call)),
    },
    Command {
        name: "account import",
        node: None,
        offline: true,
        help: "Make accounts with the keys they had elsewhere",
        args: &[
            Arg::lines(
                "accounts",
                "lines of `user@domain SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key> …`",
                import::check,
            ),
            Arg::optional(
                "withhold",
                ArgKind::Flag,
                "even if the host then offers less to everybody, until all of these accounts have the missing keys",
            ),
        ],
        run: |call| Box::pin(import::import(call)),
    },
    Command {
        name: "session list",
        node: None,
        offline: false,
        help: "List sessions by address",
        args: &[HOST, AFTER, LIMIT],
        run: |call| Box::pin(list::sessions(call)),
    },
    Command {
        name: "session kick",
        node: Some("end-user-session"),
        offline: false,
        help: "End sessions: one by its full address, or all of an account",
        args: &[
            Arg::required("accountjids", ArgKind::Jids, "accounts, or sessions by their full addresses"),
            Arg::optional("reason", ArgKind::Text, "what the user is told"),
        ],
        run: |call| Box::pin(sessions::kick(call)),
    },
    Command {
        name: "status",
        node: None,
        offline: false,
        help: "Show what the server is doing, counts, and what it holds in memory",
        args: &[],
        run: |call| Box::pin(status::status(call)),
    },
    Command {
        name: "stop",
        node: None,
        offline: false,
        help: "End all sessions and the server",
        args: &[],
        run: |call| Box::pin(status::stop(call)),
    },
    Command {
        name: "reload",
        node: None,
        offline: false,
        help: "Read configuration and certificates anew",
        args: &[],
        run: |call| Box::pin(status::reload(call)),
    },
];

impl From<AccountError> for CommandError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Exists(_) => Self::Conflict(error.to_string()),
            AccountError::Unknown(_) | AccountError::Address(_) => Self::NotFound(error.to_string()),
            AccountError::Internal(internal) => Self::Internal(internal),
        }
    }
}

#[cfg(test)]
mod tests;
