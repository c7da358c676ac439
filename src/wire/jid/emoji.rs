//! Emoji sequences in resources: what we allow beyond PRECIS. UTS #51 §1.4.
//!
//! RFC 8264 knows emoji as symbols one by one, but not what holds a sequence together: U+200D needs a virama
//! before it, variation selectors and tags are ignorable and refused. People have `🤷🏽‍♀️` in the name of
//! their device and of their seat in a room, and a server that refuses it cuts them off from that room. So
//! these characters may stand in a resource where they bind an emoji, and nowhere else: away from emoji they
//! are invisible, and would make two names that look alike.

use icu_properties::CodePointSetData;
use icu_properties::props::{Emoji, EmojiModifier, ExtendedPictographic};

use super::context::around;

const JOINER: char = '\u{200D}';
const KEYCAP: char = '\u{20E3}';
const BLACK_FLAG: char = '\u{1F3F4}';
const CANCEL_TAG: char = '\u{E007F}';
const TEXT_STYLE: char = '\u{FE0E}';
const EMOJI_STYLE: char = '\u{FE0F}';

/// Tags spell a region and its subdivision, such as `gbsct`: 3 to 6 letters and digits (UTS #51, annex C).
const FLAG_TAGS_MAX: usize = 6;

/// Whether `c`, which begins at byte `at` of `text`, binds an emoji there.
pub(super) fn allows(text: &str, at: usize, c: char) -> bool {
    let (before, after) = around(text, at, c);
    match c {
        JOINER => ends_with_pictograph(before) && after.chars().next().is_some_and(is_pictograph),
        TEXT_STYLE | EMOJI_STYLE => selects_style(before, after),
        '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}' | CANCEL_TAG => is_in_flag(before, after, c),
        _ => false,
    }
}

/// A pictograph, perhaps with a skin tone and a style. More than two of those are no sequence in use.
fn ends_with_pictograph(before: &str) -> bool {
    let bound = |c: &char| *c == EMOJI_STYLE || CodePointSetData::new::<EmojiModifier>().contains(*c);
    before.chars().rev().take(3).find(|c| !bound(c)).is_some_and(is_pictograph)
        || before.ends_with(CANCEL_TAG)
}

/// The selector stands right behind an emoji; behind a digit, '#' or '*' only as part of a keycap.
fn selects_style(before: &str, after: &str) -> bool {
    before.chars().next_back().is_some_and(|last| match last {
        '0'..='9' | '#' | '*' => after.starts_with(KEYCAP),
        _ => CodePointSetData::new::<Emoji>().contains(last),
    })
}

/// A black flag, 3 to 6 tags, and the one that ends them.
fn is_in_flag(before: &str, after: &str, c: char) -> bool {
    let tags_before = before.chars().rev().take(FLAG_TAGS_MAX + 1).take_while(is_tag).count();
    let opened = before.chars().rev().nth(tags_before) == Some(BLACK_FLAG);
    if c == CANCEL_TAG {
        return opened && (3..=FLAG_TAGS_MAX).contains(&tags_before);
    }
    let tags_after = after.chars().take(FLAG_TAGS_MAX).take_while(is_tag).count();
    let closed = after.chars().nth(tags_after) == Some(CANCEL_TAG);
    opened && closed && (3..=FLAG_TAGS_MAX).contains(&(tags_before + 1 + tags_after))
}

fn is_tag(c: &char) -> bool {
    matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}')
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

#[cfg(test)]
mod tests {
    use crate::jid::prepare_resource;

    #[test]
    fn emoji_in_daily_use_are_resources() {
        let daily = "🫠 🤷🏽‍♀️ ❤️ ❤︎ 👨‍👩‍👧‍👦 🏳️‍🌈 🏳️‍⚧️ 🏴‍☠️ 👩🏿‍🚀 🧑‍🦰 🕵️‍♂️ 🕵🏽‍♂️ 1️⃣ #️⃣ *️⃣ ☎️ ™️ 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁵󠁳󠁣󠁡󠁿 🐻‍❄️ ⛓️‍💥 \
                     🙂‍↕️ 👩‍❤️‍💋‍👩 🚶🏽‍♀️‍➡️ 🫱🏻‍🫲🏿 🍋‍🟩 🐦‍🔥 🫩 😶‍🌫️ 🧑🏾‍❤️‍🧑🏻";
        for emoji in daily.split_whitespace() {
            for text in [emoji.to_owned(), format!("Ann {emoji}{emoji} on phone")] {
                assert_eq!(
                    prepare_resource(&text).as_deref(),
                    Ok(text.as_str()),
                    "{}",
                    text.escape_unicode()
                );
            }
        }
    }

    #[test]
    fn away_from_emoji_the_binders_are_refused() {
        let lone =
            ["a\u{200D}b", "🤷\u{200D}", "\u{200D}🤷", "🤷\u{200D}a", "a\u{200D}🤷", "🤷\u{200D}\u{200D}♀"];
        let styled = [
            "a\u{FE0F}",
            "\u{FE0F}",
            "1\u{FE0F}",
            "1\u{FE0F}a",
            "❤\u{FE0F}\u{FE0F}",
            "漢\u{FE00}",
            "漢\u{E0100}",
        ];
        let tags = [
            "a\u{E0067}",
            "\u{1F3F4}\u{E0067}",
            "\u{1F3F4}\u{E007F}",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E007F}",
            "\u{E007F}",
        ];
        for text in lone.into_iter().chain(styled).chain(tags) {
            assert!(prepare_resource(text).is_err(), "{}", text.escape_unicode());
        }
        let smuggled = format!("\u{1F3F4}{}\u{E007F}", "\u{E0061}".repeat(7));
        assert!(prepare_resource(&smuggled).is_err());
    }
}
