//! Who somebody is after an exchange: one value, so that no other name can reach resource binding.
//!
//! RFC 6120 §6.3.7, §6.3.8; RFC 4616 §2; RFC 5802 §5.1.

use hearth_wire::BareJid;

use super::prep::{Unassigned, saslprep};
use super::{Decoys, Failure};

/// A virtual host as SASL sees it, shared by all its exchanges.
pub struct Realm {
    /// The domain of its accounts.
    pub domain: BareJid,
    /// Keys for users that do not exist.
    pub decoys: Decoys,
}

/// Who the client has proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The owner of this account.
    Account(BareJid),
    /// Nobody: the caller makes a random localpart (XEP-0175).
    Anonymous {
        /// What the client wants to be found by in the log; never used for anything else (RFC 4505 §2).
        trace: Option<String>,
    },
}

impl Realm {
    /// The account that a typed user name stands for: SASLprep as a query string, then RFC 7622's localpart.
    ///
    /// # Errors
    /// [`Failure::Credentials`]: no account has this name; not to be told from a wrong password.
    pub(super) fn account(&self, typed: &str) -> Result<BareJid, Failure> {
        let prepared = saslprep(typed, Unassigned::Allowed).map_err(|_| Failure::Credentials)?;
        BareJid::from_parts(Some(&prepared), self.domain.domain()).map_err(|_| Failure::Credentials)
    }
}

/// May the account act as `authzid`? Only as itself, written as a bare JID (RFC 6120 §6.3.8).
///
/// # Errors
/// [`Failure::Authzid`] for any other.
pub(super) fn authorize(account: BareJid, authzid: Option<&str>) -> Result<Identity, Failure> {
    if authzid.is_none_or(|authzid| BareJid::parse(authzid).is_ok_and(|authzid| authzid == account)) {
        Ok(Identity::Account(account))
    } else {
        Err(Failure::Authzid)
    }
}
