//! Storage: the `Sql` trait, SQLite on threads of its own with group commit, migrations, and two small shapes.
//!
//! What this layer promises to those above it:
//!
//! - A result is handed out only after the transaction that made it true is on the disk ([`Durability`]).
//! - Writes run one after the other in the order in which they were submitted; queued ones share a commit.
//! - No statement ever runs on an async worker: every connection belongs to a thread of its own.
//! - Row numbers of the log rise in commit order and are never used twice ([`WriteSql::next_row`]).
//! - The queue is bounded, and a full or failing disk is an error that passes, not the end of the process.
//!
//! It knows nothing of XMPP: a stanza is bytes, an address is text. Statements are written once in the common
//! tongue of SQLite and PostgreSQL (`?1`, `ON CONFLICT … DO UPDATE`, `RETURNING`, TEXT, BIGINT, BLOB).

mod checkpoint;
mod data_dir;
mod error;
mod inspect;
mod job;
pub mod kv;
pub mod log;
mod migrate;
mod numbers;
mod options;
mod queue;
mod reader;
mod schema;
mod snapshot;
mod sql;
mod sqlite;
mod stats;
mod store;
mod writer;

pub use error::{OpenError, StoreError};
pub use inspect::{Inspection, inspect, look};
pub use job::Ticket;
pub use migrate::Migrations;
pub use options::{Durability, Options};
pub use sql::{Row, Sql, SqlExt, Value, WriteSql};
pub use stats::Stats;
pub use store::{Permit, Store};
