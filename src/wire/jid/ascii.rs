//! The fast path: is this ASCII text already in prepared form? RFC 7622 §3.2-§3.4.
//!
//! `true` means that preparation would change nothing; `false` only that the long way must decide.

use super::PART_BYTES_MAX;

/// A name of no more bytes than one label may have keeps both of DNS's limits (RFC 1034 §3.1).
const LABEL_BYTES_MAX: usize = 63;

const LOCAL: u8 = 1;
const ALPHANUMERIC: u8 = 2;
const RESOURCE: u8 = 4;

/// For each byte, the places where it may stand unchanged.
static PLACES: [u8; 256] = places();

const fn places() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0x20_u8;
    while byte <= 0x7E {
        let excluded = matches!(byte, b' ' | b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@');
        let local = if excluded || byte.is_ascii_uppercase() { 0 } else { LOCAL };
        let name = if byte.is_ascii_lowercase() || byte.is_ascii_digit() { ALPHANUMERIC } else { 0 };
        table[byte as usize] = RESOURCE | local | name;
        byte += 1;
    }
    table
}

fn may_stand(byte: u8, place: u8) -> bool {
    PLACES[usize::from(byte)] & place != 0
}

pub(super) fn is_canonical_local(text: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| may_stand(byte, LOCAL))
}

/// Letters and digits, with single dots or hyphens between them. Two in a row end here: `..` is an error,
/// and `--` may be punycode.
pub(super) fn is_canonical_domain(text: &str) -> bool {
    let mut after_separator = true;
    for byte in text.bytes() {
        let separator = !may_stand(byte, ALPHANUMERIC);
        if separator && (after_separator || !matches!(byte, b'.' | b'-')) {
            return false;
        }
        after_separator = separator;
    }
    !after_separator && text.len() <= LABEL_BYTES_MAX
}

pub(super) fn is_canonical_resource(text: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&text.len())
        && !text.starts_with(' ')
        && text.bytes().all(|byte| may_stand(byte, RESOURCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::{prepare_domain, prepare_local, prepare_resource};

    /// The long way agrees about every single byte, at an edge and in the middle.
    #[test]
    fn what_the_tables_pass_the_long_way_leaves_alone() {
        for byte in 0..=0x7F_u8 {
            for text in [format!("{}", byte as char), format!("a{}b", byte as char)] {
                let same = |prepared: Result<std::borrow::Cow<'_, str>, _>| prepared.is_ok_and(|p| p == text);
                assert_eq!(is_canonical_local(&text), same(prepare_local(&text)), "{text:?}");
                assert_eq!(is_canonical_domain(&text), same(prepare_domain(&text)), "{text:?}");
                assert_eq!(is_canonical_resource(&text), same(prepare_resource(&text)), "{text:?}");
            }
        }
    }

    #[test]
    fn nothing_empty_or_beyond_ascii_is_canonical() {
        for is_canonical in [is_canonical_local, is_canonical_domain, is_canonical_resource] {
            assert!(!is_canonical("") && !is_canonical("é") && is_canonical("e"));
        }
    }
}
