//! The Bidi Rule, for localparts that hold right-to-left characters. RFC 8265 §3.3.1, RFC 5893 §2.

use icu_properties::CodePointMapData;
use icu_properties::props::BidiClass as Bc;

use super::JidError;

/// All six conditions, if any character is right-to-left (R, AL or AN).
pub(super) fn check(text: &str) -> Result<(), JidError> {
    let obeyed = text.is_ascii()
        || !classes(text).any(|bc| matches!(bc, Bc::RightToLeft | Bc::ArabicLetter | Bc::ArabicNumber))
        || obeys_rule(text);
    if obeyed { Ok(()) } else { Err(JidError::MixedDirection) }
}

fn obeys_rule(text: &str) -> bool {
    // Condition 1. One that begins with L has met something right-to-left later: condition 5 forbids that.
    if !matches!(classes(text).next(), Some(Bc::RightToLeft | Bc::ArabicLetter)) {
        return false;
    }
    let last = classes(text).rev().find(|&bc| bc != Bc::NonspacingMark);
    let has = |wanted| classes(text).any(|bc| bc == wanted);
    // Conditions 2, 3 and 4; the sixth is about strings that begin with L.
    classes(text).all(is_allowed_in_rtl)
        && last.is_some_and(may_end_rtl)
        && !(has(Bc::EuropeanNumber) && has(Bc::ArabicNumber))
}

fn is_allowed_in_rtl(bc: Bc) -> bool {
    may_end_rtl(bc)
        || matches!(bc, Bc::EuropeanSeparator | Bc::CommonSeparator | Bc::EuropeanTerminator)
        || matches!(bc, Bc::OtherNeutral | Bc::BoundaryNeutral | Bc::NonspacingMark)
}

fn may_end_rtl(bc: Bc) -> bool {
    matches!(bc, Bc::RightToLeft | Bc::ArabicLetter | Bc::EuropeanNumber | Bc::ArabicNumber)
}

fn classes(text: &str) -> impl DoubleEndedIterator<Item = Bc> {
    text.chars().map(|c| CodePointMapData::<Bc>::new().get(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::prepare_local;

    #[test]
    fn each_condition() {
        let table = [
            ("no right-to-left", "ünder_1", true),
            ("hebrew", "שלום", true),
            ("arabic with a mark at the end", "سلام\u{64E}", true),
            ("digits inside and at the end", "שלום1", true),
            ("hyphen inside", "א-ב", true),
            ("1: a digit first", "1שלום", false),
            ("1: a mark first", "\u{64E}س", false),
            ("2: a latin letter inside", "אaב", false),
            ("3: punctuation last", "שלום-", false),
            ("4: both kinds of digits", "س1\u{661}", false),
            ("5: latin first", "aא", false),
        ];
        for (condition, text, obeyed) in table {
            assert_eq!(check(text).is_ok(), obeyed, "{condition}");
            assert_eq!(prepare_local(text).is_ok(), obeyed, "{condition}");
        }
    }
}
