//! String preparation: SASLprep (RFC 4013) and ANONYMOUS's trace profile (RFC 4505 §3), on RFC 3454's tables.
//!
//! `stringprep::saslprep` knows only "stored" strings. What a client presents is a "query" string, in which
//! code points unassigned in Unicode 3.2 are allowed (RFC 4616 §2, RFC 5802 §5.1): a user whose name is
//! written in a younger script must be able to log in.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// What becomes of code points that Unicode 3.2 had not assigned (RFC 3454 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unassigned {
    /// A query string, which is only compared.
    Allowed,
    /// A stored string, such as a new password.
    Prohibited,
}

/// The string has a character, or an order of writing directions, that SASLprep prohibits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a character or a mix of writing directions that SASLprep (RFC 4013) prohibits")]
pub struct Prohibited;

/// SASLprep. The output may be empty even if the input is not; it is wiped when dropped.
///
/// # Errors
/// [`Prohibited`] by RFC 4013 §2.3–2.5.
pub fn saslprep(text: &str, unassigned: Unassigned) -> Result<Zeroizing<String>, Prohibited> {
    // U+200B is in both tables; a space, as in libidn, which most clients have.
    let mapped = || {
        text.chars()
            .map(|c| if tables::non_ascii_space_character(c) { ' ' } else { c })
            .filter(|c| !tables::commonly_mapped_to_nothing(*c))
            .nfkc()
    };
    // Sized first: a string that grows leaves copies of a password behind.
    let mut prepared = Zeroizing::new(String::with_capacity(mapped().map(char::len_utf8).sum()));
    prepared.extend(mapped());
    let bad =
        |c: char| prohibited(c) || (unassigned == Unassigned::Prohibited && tables::unassigned_code_point(c));
    if prepared.chars().any(bad) || mixes_directions(&prepared) { Err(Prohibited) } else { Ok(prepared) }
}

/// May this text be ANONYMOUS's trace information (RFC 4505 §3)?
pub(super) fn is_trace(text: &str) -> bool {
    !text.chars().any(prohibited_in_trace) && !mixes_directions(text)
}

/// RFC 4013 §2.3.
fn prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || prohibited_in_trace(c)
        || tables::inappropriate_for_canonical_representation(c)
}

/// RFC 4505 §3; a `char` is never a surrogate (table C.5).
fn prohibited_in_trace(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6: right-to-left text stands alone, and begins and ends as such.
fn mixes_directions(text: &str) -> bool {
    let right_to_left = |c: Option<char>| c.is_some_and(tables::bidi_r_or_al);
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !right_to_left(text.chars().next())
            || !right_to_left(text.chars().next_back()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(text: &str) -> Result<String, Prohibited> {
        saslprep(text, Unassigned::Prohibited).map(|s| s.to_string())
    }

    #[test]
    fn examples_of_rfc_4013() {
        assert_eq!(stored("I\u{AD}X").as_deref(), Ok("IX"));
        assert_eq!(stored("user").as_deref(), Ok("user"));
        assert_eq!(stored("USER").as_deref(), Ok("USER"));
        assert_eq!(stored("\u{AA}").as_deref(), Ok("a"));
        assert_eq!(stored("\u{2168}").as_deref(), Ok("IX"));
        assert_eq!(stored("\u{7}"), Err(Prohibited));
        assert_eq!(stored("\u{627}\u{31}"), Err(Prohibited));
    }

    #[test]
    fn nfkc_tells_itself_from_nfc_and_spaces_become_one_kind() {
        assert_eq!(stored("\u{BD}").as_deref(), Ok("1\u{2044}2"));
        assert_eq!(stored("\u{B4}").as_deref(), Ok(" \u{301}"));
        assert_eq!(stored("a\u{A0}b\u{3000}c").as_deref(), Ok("a b c"));
        assert_eq!(stored("\u{AD}").as_deref(), Ok(""));
    }

    #[test]
    fn young_code_points_may_be_asked_for_but_not_stored() {
        for young in ["\u{1F511}", "\u{2C30}"] {
            assert_eq!(stored(young), Err(Prohibited));
            assert!(saslprep(young, Unassigned::Allowed).is_ok_and(|s| !s.is_empty()));
        }
    }

    #[test]
    fn trace_information_is_plain_text() {
        assert!(is_trace("sirhc") && is_trace("sirhc@example.org") && is_trace("\u{5D0}\u{5D1}"));
        assert!(
            !is_trace("a\u{0}b") && !is_trace("a\u{7F}") && !is_trace("\u{E000}") && !is_trace("\u{5D0}a")
        );
    }

    proptest! {
        #[test]
        fn stored_strings_are_prepared_as_the_stringprep_crate_does(
            text in "\\PC{0,12}|[ -~\u{a0}-\u{6ff}]{0,12}|.{0,8}",
        ) {
            let theirs = stringprep::saslprep(&text).map(|s| s.into_owned()).map_err(|_| Prohibited);
            prop_assert_eq!(stored(&text), theirs);
        }
    }
}
