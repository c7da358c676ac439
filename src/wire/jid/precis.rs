//! Which characters may stand in which string. RFC 8264 §8 and §9, with Unicode's data from ICU4X.
//!
//! Computed from current properties, not from IANA's table of Unicode 6.3: a table of that age refuses
//! every emoji of the last ten years.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory as Gc, HangulSyllableType as Hst, NoncharacterCodePoint,
};
use icu_properties::{CodePointMapData, CodePointSetData};

use super::{JidError, Part, context, emoji};

/// RFC 8264 §4: the two classes of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringClass {
    /// Letters and digits, and printable ASCII.
    Identifier,
    /// Also spaces, symbols, punctuation and compatibility forms; and, by our own leave, emoji sequences.
    Freeform,
}

/// Checks that each character is valid by itself or by the contextual rule it needs.
pub(super) fn check(part: Part, text: &str, class: StringClass) -> Result<(), JidError> {
    for (at, c) in text.char_indices() {
        match derived(c) {
            Derived::Valid => {}
            Derived::FreeformValid if class == StringClass::Freeform => {}
            Derived::Contextual if context::allows(text, at, c) => {}
            // Looked at last, so that the extension can only add to what the RFC allows.
            _ if class == StringClass::Freeform && emoji::allows(text, at, c) => {}
            Derived::Contextual => return Err(JidError::MisplacedCharacter(part, c)),
            Derived::Unassigned => return Err(JidError::UnassignedCharacter(part, c)),
            Derived::FreeformValid | Derived::Disallowed => {
                return Err(JidError::ForbiddenCharacter(part, c));
            }
        }
    }
    context::check_whole(part, text)
}

/// RFC 8264 §8: the derived property of a code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Derived {
    /// PVALID.
    Valid,
    /// FREE_PVAL, which is ID_DIS.
    FreeformValid,
    /// CONTEXTJ or CONTEXTO.
    Contextual,
    Disallowed,
    Unassigned,
}

/// The algorithm of RFC 8264 §8; the order of the questions is normative.
fn derived(c: char) -> Derived {
    if let Some(exception) = exception(c) {
        return exception;
    }
    // BackwardCompatible (§9.7) is empty.
    let category = CodePointMapData::<Gc>::new().get(c);
    if category == Gc::Unassigned && !is_noncharacter(c) {
        Derived::Unassigned
    } else if matches!(c, '\u{21}'..='\u{7E}') {
        Derived::Valid
    } else if matches!(c, '\u{200C}' | '\u{200D}') {
        Derived::Contextual
    } else if is_old_hangul_jamo(c) || is_ignorable(c) || category == Gc::Control {
        Derived::Disallowed
    } else if has_compat(c) {
        Derived::FreeformValid
    } else {
        by_category(category)
    }
}

/// RFC 8264 §9.1, §9.14-§9.16, §9.18; all else is refused, private use and format characters among it.
fn by_category(category: Gc) -> Derived {
    match category {
        Gc::LowercaseLetter | Gc::UppercaseLetter | Gc::OtherLetter | Gc::ModifierLetter => Derived::Valid,
        Gc::DecimalNumber | Gc::NonspacingMark | Gc::SpacingMark => Derived::Valid,
        Gc::TitlecaseLetter | Gc::LetterNumber | Gc::OtherNumber | Gc::EnclosingMark => {
            Derived::FreeformValid
        }
        Gc::SpaceSeparator => Derived::FreeformValid,
        Gc::MathSymbol | Gc::CurrencySymbol | Gc::ModifierSymbol | Gc::OtherSymbol => Derived::FreeformValid,
        Gc::ConnectorPunctuation | Gc::DashPunctuation | Gc::OtherPunctuation => Derived::FreeformValid,
        Gc::OpenPunctuation | Gc::ClosePunctuation | Gc::InitialPunctuation | Gc::FinalPunctuation => {
            Derived::FreeformValid
        }
        _ => Derived::Disallowed,
    }
}

/// RFC 5892 §2.6.
fn exception(c: char) -> Option<Derived> {
    match c {
        'ß' | 'ς' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => Some(Derived::Valid),
        '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}' => Some(Derived::Contextual),
        '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' => Some(Derived::Contextual),
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' => Some(Derived::Disallowed),
        '\u{3031}'..='\u{3035}' | '\u{303B}' => Some(Derived::Disallowed),
        _ => None,
    }
}

fn is_noncharacter(c: char) -> bool {
    CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
}

/// RFC 8264 §9.13.
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) || is_noncharacter(c)
}

/// RFC 5892 §2.9.
fn is_old_hangul_jamo(c: char) -> bool {
    let kind = CodePointMapData::<Hst>::new().get(c);
    matches!(kind, Hst::LeadingJamo | Hst::VowelJamo | Hst::TrailingJamo)
}

/// RFC 8264 §9.17: toNFKC(cp) != cp.
fn has_compat(c: char) -> bool {
    const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
    !NFKC.is_normalized(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_branch_of_the_algorithm() {
        let table = [
            (Derived::Valid, "aZ~!ßς한漢\u{301}\u{93E}\u{3007}\u{F0B}"),
            (Derived::FreeformValid, "\u{A0} ☕€±«»—①Ⅳﬁ\u{20DD}ǅｱ🫠\u{1FAE9}🏽\u{1F1E9}"),
            (Derived::Contextual, "\u{200C}\u{200D}·\u{375}\u{5F3}\u{30FB}\u{6F3}"),
            (
                Derived::Disallowed,
                "\0\n\u{7F}\u{AD}\u{FE0F}\u{1100}\u{640}\u{E000}\u{600}\u{FFFF}\u{E0067}\u{2028}",
            ),
            (Derived::Unassigned, "\u{378}\u{50000}"),
        ];
        for (want, characters) in table {
            for c in characters.chars() {
                assert_eq!(derived(c), want, "U+{:04X}", u32::from(c));
            }
        }
    }
}
