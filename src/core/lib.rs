//! The roster and router core: streams, sessions, accounts, stages and the frozen plan.
//!
//! It knows RFC 6120 and RFC 6121 and no extension: those join through [`module`].

pub mod account;
pub mod account_table;
pub mod accounts;
pub mod admin;
pub mod bind;
pub mod clock;
pub mod command;
pub mod control;
mod delivery;
pub mod disco;
mod dispatch;
pub mod drain;
pub mod ended;
pub mod error;
pub mod event;
pub mod host;
pub mod im;
pub mod iq;
pub mod key_tally;
pub mod late;
pub mod limits;
pub mod live;
mod message;
pub mod metrics;
pub mod module;
pub mod offline;
pub mod outbox;
pub mod owed;
pub mod pending;
pub mod plan;
mod presence;
pub mod random;
pub mod registry;
pub mod roster;
pub mod roster_table;
pub mod router;
pub mod sasl;
pub mod server;
pub mod session;
pub mod slot;
pub mod stage;
pub mod stream;
mod subscribe;
pub mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
pub mod unserved;
