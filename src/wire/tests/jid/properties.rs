//! What holds for any text taken as an address. The fuzz target runs this, too.

use hearth_wire::jid::{JID_BYTES_MAX, PART_BYTES_MAX};
use hearth_wire::{BareJid, Jid};

/// Checks that an accepted address is stable, whole and consistent; a refused one must only not panic.
pub(crate) fn check_bytes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(jid) = Jid::parse(text) else { return };
    let parts = |jid: &Jid| {
        (jid.local().map(str::to_owned), jid.domain().to_owned(), jid.resource().map(str::to_owned))
    };

    let again = Jid::parse(jid.as_str());
    assert_eq!(again.as_ref(), Ok(&jid), "{text:?} is not stable");
    assert_eq!(again.as_ref().map(parts), Ok(parts(&jid)), "{text:?} is cut otherwise");
    assert_eq!(Jid::from_parts(jid.local(), jid.domain(), jid.resource()).as_ref(), Ok(&jid));

    let (local, domain, resource) = parts(&jid);
    let whole = local.iter().map(|local| format!("{local}@")).chain([domain.clone()]);
    let whole: String = whole.chain(resource.iter().map(|resource| format!("/{resource}"))).collect();
    assert_eq!(whole, jid.as_str());
    assert!(whole.len() <= JID_BYTES_MAX);
    for part in local.iter().chain([&domain]).chain(&resource) {
        assert!((1..=PART_BYTES_MAX).contains(&part.len()), "{text:?}");
    }
    // neither a control character, nor what would end an attribute or a part early
    assert!(!whole.chars().any(char::is_control), "{whole:?}");
    assert!(!local.unwrap_or_default().contains(['"', '&', '\'', '/', ':', '<', '>', '@', ' ']), "{whole:?}");
    assert!(!domain.contains(['@', '/', ' ', '<', '&', '\'', '"']), "{whole:?}");

    let bare = jid.to_bare();
    assert_eq!(BareJid::parse(jid.bare_str()).as_ref(), Ok(&bare));
    assert_eq!(
        resource.map(|resource| bare.with_resource(&resource)).unwrap_or_else(|| Ok(jid.clone())),
        Ok(jid)
    );
}
