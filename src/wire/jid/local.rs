//! Localparts: the UsernameCaseMapped profile less eight characters. RFC 7622 §3.3, RFC 8265 §3.3.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use super::precis::StringClass;
use super::{JidError, Part, ascii, bidi, check_length, check_raw, precis, until_stable};

/// Prepares the part before '@': width and case mapped, NFC, then checked. Borrowed when it was prepared
/// already.
///
/// # Errors
/// Empty or too long, a character outside the IdentifierClass or among the eight that XMPP excludes, or a
/// broken contextual or bidi rule.
pub fn prepare_local(text: &str) -> Result<Cow<'_, str>, JidError> {
    if ascii::is_canonical_local(text) {
        return Ok(Cow::Borrowed(text));
    }
    check_raw(Part::Local, text)?;
    let prepared = until_stable(Part::Local, text, map)?;
    check_length(Part::Local, &prepared)?;
    if let Some(excluded) = prepared.chars().find(|c| EXCLUDED.contains(c)) {
        return Err(JidError::ForbiddenCharacter(Part::Local, excluded));
    }
    bidi::check(&prepared)?;
    precis::check(Part::Local, &prepared, StringClass::Identifier)?;
    Ok(prepared)
}

/// RFC 7622 §3.3.1: they delimit addresses or XML, and XEP-0106 offers a way to write them.
const EXCLUDED: [char; 8] = ['"', '&', '\'', '/', ':', '<', '>', '@'];

fn map(text: &str) -> Cow<'_, str> {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    if !text.chars().any(|c| has_width(c) || has_lower(c)) {
        return NFC.normalize(text);
    }
    // Character by character: `str::to_lowercase` would make a final sigma by context, and RFC 7622 §3.5
    // (examples 9 to 11) wants none.
    let lower: String = map_width(text).chars().flat_map(char::to_lowercase).collect();
    Cow::Owned(NFC.normalize(&lower).into_owned())
}

fn has_lower(c: char) -> bool {
    !c.to_lowercase().eq([c])
}

/// RFC 8265 §3.3.1, rule 1. All characters with a wide or narrow decomposition stand in one block, and the
/// ideographic space; Unicode's stability policy keeps it so for those that are assigned.
fn map_width(text: &str) -> Cow<'_, str> {
    const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
    if !text.chars().any(has_width) {
        return Cow::Borrowed(text);
    }
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        if has_width(c) {
            mapped.push_str(&NFKD.normalize(c.encode_utf8(&mut [0; 4])));
        } else {
            mapped.push(c);
        }
    }
    Cow::Owned(mapped)
}

/// Halfwidth Hangul is left out: it maps to compatibility jamo, which the IdentifierClass refuses either
/// way, while NFKD would go on to jamo that compose.
fn has_width(c: char) -> bool {
    matches!(c, '\u{3000}' | '\u{FF01}'..='\u{FF9F}' | '\u{FFE0}'..='\u{FFEE}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<&str, JidError>) {
        let got = prepare_local(text);
        assert_eq!(got.as_deref().map_err(|&e| e), want, "{text:?}");
    }

    #[test]
    fn case_and_width_are_mapped() {
        check("Romeo", Ok("romeo"));
        check("ＲＯＭＥＯ", Ok("romeo"));
        check("ｶﾞ", Ok("ガ"));
        check("ÅNGSTRÖM", Ok("ångström"));
        check("\u{212B}", Ok("å")); // ANGSTROM SIGN
        check("e\u{301}", Ok("é"));
        check("\u{1112}\u{1161}\u{11AB}", Ok("한"));
    }

    #[test]
    fn sigma_has_no_context_and_sharp_s_stays() {
        check("ΟΔΥΣΣΕΥΣ", Ok("οδυσσευσ"));
        check("ς", Ok("ς"));
        check("fußball", Ok("fußball"));
        check("İ", Ok("i\u{307}"));
    }

    #[test]
    fn separators_do_not_come_in_by_mapping() {
        for (text, c) in [("a＠b", '@'), ("a／b", '/'), ("a：b", ':'), ("＜", '<'), ("a＆", '&'), ("'", '\'')]
        {
            check(text, Err(JidError::ForbiddenCharacter(Part::Local, c)));
        }
    }

    #[test]
    fn identifiers_hold_no_spaces_symbols_or_compatibility_forms() {
        for c in
            [' ', '\u{A0}', '♚', 'ⅳ', '—', '\u{7F}', '\u{0}', '\u{1100}', '\u{AD}', '\u{E000}', 'ﬁ', 'ㄱ']
        {
            check(&format!("a{c}"), Err(JidError::ForbiddenCharacter(Part::Local, c)));
        }
        check("a\u{3000}b", Err(JidError::ForbiddenCharacter(Part::Local, ' ')));
        check("ﾡ", Err(JidError::ForbiddenCharacter(Part::Local, 'ﾡ')));
        check("🤷", Err(JidError::ForbiddenCharacter(Part::Local, '🤷')));
        check("a\u{378}", Err(JidError::UnassignedCharacter(Part::Local, '\u{378}')));
        check("a\u{FFFF}", Err(JidError::ForbiddenCharacter(Part::Local, '\u{FFFF}')));
    }

    #[test]
    fn emoji_joiners_are_for_resources_only() {
        check("a\u{200D}b", Err(JidError::MisplacedCharacter(Part::Local, '\u{200D}')));
        check("a\u{FE0F}", Err(JidError::ForbiddenCharacter(Part::Local, '\u{FE0F}')));
    }

    #[test]
    fn length_counts_after_mapping() {
        let fullwidth = "Ａ".repeat(1023);
        check(&fullwidth, Ok(&"a".repeat(1023)));
        check(&"Ａ".repeat(1024), Err(JidError::TooLong(Part::Local)));
        check(&"é".repeat(511), Ok(&"é".repeat(511)));
        check(&"é".repeat(512), Err(JidError::TooLong(Part::Local)));
        check(&"A".repeat(100_000), Err(JidError::TooLong(Part::Local)));
        check("", Err(JidError::Empty(Part::Local)));
    }

    #[test]
    fn a_prepared_local_is_borrowed() {
        for text in ["romeo", "ромео", "한글"] {
            assert!(matches!(prepare_local(text), Ok(Cow::Borrowed(_))), "{text}");
        }
    }
}
