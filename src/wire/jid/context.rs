//! The contextual rules. RFC 5892, appendix A, which RFC 8264 §9.6 and §9.8 refer to.

use icu_properties::CodePointMapData;
use icu_properties::props::{CanonicalCombiningClass as Ccc, JoiningType as Jt, Script};

use super::{JidError, Part};

/// Whether `c`, which begins at byte `at` of `text`, may stand beside its neighbours. Rules about the whole
/// string are [`check_whole`]'s.
pub(super) fn allows(text: &str, at: usize, c: char) -> bool {
    let (before, after) = around(text, at, c);
    match c {
        // A.1, A.2
        '\u{200C}' => follows_virama(before) || joins(before, after),
        '\u{200D}' => follows_virama(before),
        // A.3: the Catalan ela geminada.
        '\u{B7}' => before.ends_with('l') && after.starts_with('l'),
        // A.4
        '\u{375}' => after.chars().next().is_some_and(|next| script(next) == Script::Greek),
        // A.5, A.6
        '\u{5F3}' | '\u{5F4}' => {
            before.chars().next_back().is_some_and(|last| script(last) == Script::Hebrew)
        }
        // A.7, A.8, A.9
        '\u{30FB}' | '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' => true,
        _ => false,
    }
}

/// A.7: a katakana middle dot needs Japanese around it. A.8, A.9: the two sets of Arabic digits do not mix.
/// One pass each, so that a string full of them stays cheap.
pub(super) fn check_whole(part: Part, text: &str) -> Result<(), JidError> {
    const KATAKANA_DOT: char = '\u{30FB}';
    if text.contains(KATAKANA_DOT) && !text.chars().any(is_japanese) {
        return Err(JidError::MisplacedCharacter(part, KATAKANA_DOT));
    }
    let extended = text.chars().find(|c| matches!(c, '\u{6F0}'..='\u{6F9}'));
    match extended {
        Some(digit) if text.chars().any(|c| matches!(c, '\u{660}'..='\u{669}')) => {
            Err(JidError::MisplacedCharacter(part, digit))
        }
        _ => Ok(()),
    }
}

/// What stands before and after the character at byte `at`.
pub(super) fn around(text: &str, at: usize, c: char) -> (&str, &str) {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at + c.len_utf8()..).unwrap_or_default();
    (before, after)
}

fn follows_virama(before: &str) -> bool {
    before.chars().next_back().is_some_and(|last| CodePointMapData::<Ccc>::new().get(last) == Ccc::Virama)
}

/// A.1: the joiner breaks a cursive connection between the letters on its two sides.
fn joins(before: &str, after: &str) -> bool {
    let joining_type = |c| CodePointMapData::<Jt>::new().get(c);
    let last = before.chars().rev().map(joining_type).find(|&jt| jt != Jt::Transparent);
    let next = after.chars().map(joining_type).find(|&jt| jt != Jt::Transparent);
    matches!(last, Some(Jt::LeftJoining | Jt::DualJoining))
        && matches!(next, Some(Jt::RightJoining | Jt::DualJoining))
}

fn is_japanese(c: char) -> bool {
    matches!(script(c), Script::Hiragana | Script::Katakana | Script::Han)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

#[cfg(test)]
mod tests {
    use crate::jid::precis::{StringClass, check};
    use crate::jid::{JidError, Part};

    #[test]
    fn each_rule_of_appendix_a() {
        let table = [
            ("a1 persian", "نامه\u{200C}ای", None),
            ("a1 virama", "क\u{94D}\u{200C}ष", None),
            ("a1 latin", "a\u{200C}b", Some('\u{200C}')),
            ("a1 at the end", "نامه\u{200C}", Some('\u{200C}')),
            ("a2 virama", "क\u{94D}\u{200D}ष", None),
            ("a2 latin", "a\u{200D}b", Some('\u{200D}')),
            ("a2 alone", "\u{200D}", Some('\u{200D}')),
            ("a3 catalan", "col·lapse", None),
            ("a3 otherwise", "a·b", Some('·')),
            ("a4 greek", "\u{375}α", None),
            ("a4 otherwise", "α\u{375}", Some('\u{375}')),
            ("a5 hebrew", "ג\u{5F3}", None),
            ("a5 otherwise", "\u{5F3}ג", Some('\u{5F3}')),
            ("a6 hebrew", "צה\u{5F4}ל", None),
            ("a6 otherwise", "a\u{5F4}", Some('\u{5F4}')),
            ("a7 katakana", "ジョン・スミス", None),
            ("a7 han at the end", "・・漢", None),
            ("a7 otherwise", "a・b", Some('・')),
            ("a8 one set", "\u{660}\u{669}", None),
            ("a9 one set", "\u{6F0}\u{6F9}", None),
            ("a8 a9 mixed", "\u{660}x\u{6F9}", Some('\u{6F9}')),
        ];
        for class in [StringClass::Identifier, StringClass::Freeform] {
            for (rule, text, misplaced) in table {
                let want = misplaced.map_or(Ok(()), |c| Err(JidError::MisplacedCharacter(Part::Resource, c)));
                assert_eq!(check(Part::Resource, text, class), want, "{rule} in {class:?}");
            }
        }
    }
}
