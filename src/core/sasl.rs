//! SASL, the server's side: what a connection is offered, and the exchange that proves who the client is.
//!
//! RFC 4422, RFC 6120 §6, RFC 4616 (PLAIN), RFC 4505 (ANONYMOUS), RFC 5802 and RFC 7677 (SCRAM), RFC 9266 and
//! RFC 5929 (channel binding), RFC 4013 (SASLprep).
//!
//! Pure: no socket, clock or randomness. A connection makes an [`Offer`] when it sends its features;
//! `<auth/>` starts an [`Exchange`]; each [`Step`] says what to do next.

mod anonymous;
mod credentials;
mod decoy;
mod encoding;
mod exchange;
mod failure;
mod hash;
mod identity;
mod mechanism;
mod password;
mod plain;
mod prep;
mod scram;
mod shape;

pub use self::credentials::{
    Credentials, ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, KeysError, KeysMark, SALT_BYTES, SALT_BYTES_MAX,
    Salts, ScramKeys,
};
pub use self::decoy::{Decoys, SHAPES_MAX, Share};
pub use self::encoding::{decode, decode_initial, encode_challenge, encode_success};
pub use self::exchange::{Exchange, Lookup, Step, Success};
pub use self::failure::{Condition, Failure};
pub use self::hash::ScramHash;
pub use self::identity::{Identity, Realm};
pub use self::mechanism::{BindingType, ConnectionFacts, Mechanism, Offer, Policy};
pub use self::password::{PASSWORD_BYTES_MAX, Password, PasswordError};
pub use self::prep::{Prohibited, Unassigned, saslprep};
pub use self::scram::ServerNonce;
pub use self::shape::{NotAShape, Shape};

/// Longest message of a client, in bytes: PLAIN with an authzid, a name and a password of full length fits.
pub const MESSAGE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests;
