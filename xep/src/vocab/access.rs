//! Who may learn that an account is there: RFC 6121 §8.5 and §11, XEP-0030 §8, XEP-0012 §8.

use std::sync::Arc;

use hearth_core::account::Account;
use hearth_core::iq::{Entity, IqCall};

/// The account that was asked, if the asker may know of it: because it is the asker's own, or because it shares its
/// presence with the asker. `None` must look the same to the asker whether there is such an account or not.
pub fn visible(call: &IqCall) -> Option<&Arc<Account>> {
    let account = call.account.as_ref()?;
    let shared =
        || account.with(|state| state.shares_presence_with(account.jid.as_str(), call.from.bare_str()));
    (call.on == Entity::Own || shared()).then_some(account)
}
