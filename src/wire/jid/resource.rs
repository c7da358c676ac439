//! Resourceparts: the OpaqueString profile of the FreeformClass. RFC 7622 §3.4, RFC 8265 §4.2.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use super::precis::StringClass;
use super::{JidError, Part, ascii, check_length, check_raw, precis, until_stable};

/// Prepares the part after '/': every space becomes U+0020, NFC, then checked. Case stays. Borrowed when it
/// was prepared already.
///
/// # Errors
/// Empty or too long, a leading space, a character outside the FreeformClass that is not part of an emoji,
/// or a broken contextual rule.
pub fn prepare_resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    if ascii::is_canonical_resource(text) {
        return Ok(Cow::Borrowed(text));
    }
    check_raw(Part::Resource, text)?;
    let prepared = until_stable(Part::Resource, text, map)?;
    check_length(Part::Resource, &prepared)?;
    if prepared.starts_with(' ') {
        return Err(JidError::LeadingSpace);
    }
    precis::check(Part::Resource, &prepared, StringClass::Freeform)?;
    Ok(prepared)
}

fn map(text: &str) -> Cow<'_, str> {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    if !text.chars().any(is_other_space) {
        return NFC.normalize(text);
    }
    let spaced: String = text.chars().map(|c| if is_other_space(c) { ' ' } else { c }).collect();
    Cow::Owned(NFC.normalize(&spaced).into_owned())
}

fn is_other_space(c: char) -> bool {
    !c.is_ascii() && CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::SpaceSeparator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<&str, JidError>) {
        let got = prepare_resource(text);
        assert_eq!(got.as_deref().map_err(|&e| e), want, "{text:?}");
    }

    #[test]
    fn case_width_and_symbols_stay() {
        for text in
            ["Balcony", "ＡＢＣ", "♚", "a/b@c", "<\"&'>:", "ⅳ — ﬁ", "foo bar ", "日本語", "שלום world"]
        {
            check(text, Ok(text));
        }
    }

    #[test]
    fn spaces_become_one_kind_and_marks_compose() {
        check("a\u{A0}b\u{3000}c\u{2003}d", Ok("a b c d"));
        check("e\u{301}", Ok("é"));
        check("\u{2126}", Ok("Ω")); // OHM SIGN
    }

    #[test]
    fn a_space_does_not_lead() {
        check(" foo", Err(JidError::LeadingSpace));
        check("\u{A0}foo", Err(JidError::LeadingSpace));
        check(" ", Err(JidError::LeadingSpace));
    }

    #[test]
    fn controls_and_invisible_characters_are_refused() {
        let hidden = ['\u{0}', '\t', '\n', '\u{7F}', '\u{85}', '\u{AD}', '\u{200E}', '\u{202E}', '\u{2066}'];
        for c in hidden.into_iter().chain(['\u{3164}', '\u{1160}', '\u{FEFF}', '\u{E000}', '\u{FFFE}', 'ـ'])
        {
            check(&format!("a{c}b"), Err(JidError::ForbiddenCharacter(Part::Resource, c)));
        }
        check("a\u{378}", Err(JidError::UnassignedCharacter(Part::Resource, '\u{378}')));
    }

    #[test]
    fn length_counts_bytes_after_mapping() {
        check(&"x".repeat(1023), Ok(&"x".repeat(1023)));
        check(&"x".repeat(1024), Err(JidError::TooLong(Part::Resource)));
        check(&"\u{3000}x".repeat(511), Err(JidError::LeadingSpace));
        check(&format!("x{}", "\u{3000}".repeat(1022)), Ok(&format!("x{}", " ".repeat(1022))));
        check("", Err(JidError::Empty(Part::Resource)));
    }
}
