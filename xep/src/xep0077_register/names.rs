//! Which names clients may give to accounts.

use hearth_core::sasl::{Unassigned, saslprep};
use hearth_wire::{BareJid, StanzaCondition, StanzaError};

use super::Config;

/// Names that people take for the server's own (after RFC 2142).
pub(super) const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "hostmaster",
    "info",
    "mailer-daemon",
    "noc",
    "nobody",
    "noreply",
    "operator",
    "owner",
    "postmaster",
    "register",
    "registration",
    "root",
    "security",
    "server",
    "service",
    "support",
    "sysadmin",
    "system",
    "webmaster",
    "xmpp",
];

/// The address that a typed name stands for, prepared as a login prepares it, so that who registers can log in.
fn address(typed: &str, domain: &str) -> Option<BareJid> {
    let prepared = saslprep(typed, Unassigned::Allowed).ok()?;
    BareJid::from_parts(Some(&prepared), domain).ok()
}

/// Whether the name is that of this account.
pub(super) fn is_own(typed: &str, account: &BareJid) -> bool {
    address(typed, account.domain()).is_some_and(|address| address == *account)
}

/// The address of a new account.
///
/// # Errors
/// `not-acceptable`: the name is too long, no name at all, or reserved.
pub(super) fn new_account(
    typed: &str,
    domain: &BareJid,
    config: &Config,
    admins: &[BareJid],
) -> Result<BareJid, StanzaError> {
    let refused = |text: &str| StanzaError::new(StanzaCondition::NotAcceptable).with_text(text);
    if typed.chars().count() > config.name_characters_max as usize {
        return Err(refused("the name is too long"));
    }
    let jid = address(typed, domain.domain()).ok_or_else(|| refused("this cannot be a name"))?;
    let name = jid.local().unwrap_or_default();
    let is_reserved = config.reserved_names.iter().any(|reserved| reserved.eq_ignore_ascii_case(name));
    // an admin's right hangs on the address: it must not go to who comes first
    if is_reserved || admins.contains(&jid) {
        return Err(refused("this name is reserved"));
    }
    Ok(jid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: Option<&str>) {
        let domain = BareJid::parse("verona.example").unwrap();
        let admins = [BareJid::parse("escalus@verona.example").unwrap()];
        let config = Config { name_characters_max: 8, ..Config::default() };
        let got = new_account(typed, &domain, &config, &admins);
        match (&got, expected) {
            (Ok(jid), Some(expected)) => assert_eq!(jid.local(), Some(expected)),
            (Err(error), None) => assert_eq!(error.condition, StanzaCondition::NotAcceptable),
            _ => panic!("{typed:?}: {got:?}"),
        }
    }

    #[test]
    fn names_are_prepared() {
        check("Romeo", Some("romeo"));
        check("ju\u{ad}liet", Some("juliet"));
        check("señor", Some("señor"));
        check("12345678", Some("12345678"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for typed in ["", "a b", "a@b", "a/b", "\u{7}", "123456789"] {
            check(typed, None);
        }
    }

    #[test]
    fn reserved_names_and_those_of_admins_are_refused() {
        for typed in ["admin", "ROOT", "Escalus", "e\u{ad}scalus"] {
            check(typed, None);
        }
    }

    #[test]
    fn ones_own_name_is_known_however_it_is_typed() {
        let own = BareJid::parse("romeo@verona.example").unwrap();
        assert!(is_own("Romeo", &own) && !is_own("juliet", &own) && !is_own("", &own));
    }
}
