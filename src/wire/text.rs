//! Characters of XML 1.0 and their escaping: what comes in is checked, what goes out is written our way.
//!
//! Sources: XML 1.0 §2.2, §2.11, §3.3.3, §4.1; RFC 6120 §11.1 (predefined entities and character
//! references only).

use crate::misbehaved::Misbehaved;
pub use crate::name::is_name;

/// Where a piece of character data stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Between tags.
    Text,
    /// Inside an attribute value.
    Attribute,
    /// Inside a CDATA section, where nothing is a reference.
    CData,
}

/// The byte may have to be written otherwise, or not at all. (U+FFFE and U+FFFF begin with 0xEF.)
const fn asks(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'&') | (byte == b'<') | (byte == b'>') | (byte == b'\'') | (byte == 0xEF)
}

/// The byte is not printable ASCII, or does not mean itself in an attribute value as received.
const fn is_odd(byte: u8) -> bool {
    (byte < 0x20) | (byte > 0x7E) | (byte == b'&') | (byte == b'<')
}

/// Whether any byte is such. Without a branch per byte: the compiler makes vectors of it.
fn any(bytes: &[u8], such: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |any, &byte| any | such(byte))
}

/// Where the next byte that [`asks`] is, from `at` on.
fn next(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(block) = bytes.get(at..at + 16) {
        if any(block, asks) {
            break;
        }
        at += 16;
    }
    bytes.get(at..)?.iter().position(|&byte| asks(byte)).map(|step| at + step)
}

/// Whether an attribute value as received means itself: printable ASCII without references.
pub(crate) fn is_plain(value: &str) -> bool {
    !any(value.as_bytes(), is_odd)
}

/// Checks raw character data as received and appends it in canonical form.
///
/// Canonical: `&`, `<`, `>` escaped (and `'` in attributes), white space in attributes normalised, line ends
/// as LF, references resolved.
///
/// # Errors
/// [`Misbehaved`] for forbidden characters, references beyond RFC 6120 §11.1, `<` in an attribute and `]]>` in text.
pub fn canonicalise(raw: &str, place: Place, out: &mut String) -> Result<(), Misbehaved> {
    let bytes = raw.as_bytes();
    let mut copied = 0;
    while let Some(at) = next(bytes, copied) {
        out.push_str(&raw[copied..at]);
        copied = at + special(raw, at, place, out)?;
    }
    out.push_str(&raw[copied..]);
    Ok(())
}

/// Handles the special byte at `at`; answers how many bytes it took.
fn special(raw: &str, at: usize, place: Place, out: &mut String) -> Result<usize, Misbehaved> {
    let rest = &raw[at..];
    match rest.as_bytes()[0] {
        b'&' if place != Place::CData => {
            let end = rest.find(';').ok_or(Misbehaved::Reference)?;
            push_escaped(reference(&rest[1..end])?, place, out);
            Ok(end + 1)
        }
        b'<' if place == Place::Attribute => Err(Misbehaved::Tag),
        b'>' if place == Place::Text && raw[..at].ends_with("]]") => Err(Misbehaved::Tag),
        b'\r' => {
            let taken = if rest.as_bytes().get(1) == Some(&b'\n') { 2 } else { 1 };
            out.push(if place == Place::Attribute { ' ' } else { '\n' });
            Ok(taken)
        }
        b'\t' | b'\n' if place == Place::Attribute => {
            out.push(' ');
            Ok(1)
        }
        byte @ (b'\t' | b'\n') => {
            out.push(char::from(byte));
            Ok(1)
        }
        byte if byte < 0x20 => Err(Misbehaved::Character),
        0xEF => {
            let c = rest.chars().next().unwrap_or('\u{FFFE}');
            if !is_char(c) {
                return Err(Misbehaved::Character);
            }
            out.push(c);
            Ok(c.len_utf8())
        }
        byte => {
            push_escaped(char::from(byte), place, out);
            Ok(1)
        }
    }
}

/// The character that the reference between `&` and `;` stands for.
fn reference(name: &str) -> Result<char, Misbehaved> {
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => match name.strip_prefix('#') {
            Some(number) => character_reference(number),
            None if is_name(name) => Err(Misbehaved::EntityReference),
            None => Err(Misbehaved::Reference),
        },
    }
}

fn character_reference(number: &str) -> Result<char, Misbehaved> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Misbehaved::Reference);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| Misbehaved::Reference)?;
    char::from_u32(code).filter(|&c| is_char(c)).ok_or(Misbehaved::Character)
}

/// Appends one character so that every XML parser reads it back as itself.
fn push_escaped(c: char, place: Place, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '\'' if place == Place::Attribute => out.push_str("&apos;"),
        '\r' => out.push_str("&#xD;"),
        '\n' if place == Place::Attribute => out.push_str("&#xA;"),
        '\t' if place == Place::Attribute => out.push_str("&#x9;"),
        c => out.push(c),
    }
}

/// Appends text of our own, escaped. Characters that XML forbids become U+FFFD: they can only come from
/// data that did not arrive as XML (an operator's input, say), and a stream must never be broken by it.
pub fn escape(text: &str, place: Place, out: &mut String) {
    let mut copied = 0;
    while let Some(at) = next(text.as_bytes(), copied) {
        out.push_str(&text[copied..at]);
        let c = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        push_escaped(if is_char(c) { c } else { char::REPLACEMENT_CHARACTER }, place, out);
        copied = at + c.len_utf8();
    }
    out.push_str(&text[copied..]);
}

/// Reads canonical character data back.
pub fn unescape(canonical: &str) -> String {
    let mut out = String::with_capacity(canonical.len());
    let mut rest = canonical;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((name, tail)) = rest.split_once(';') else { break };
        if let Ok(c) = reference(name) {
            out.push(c);
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A character that XML 1.0 allows (§2.2).
pub const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Result<String, Misbehaved> {
        let mut out = String::new();
        canonicalise(raw, Place::Text, &mut out).map(|()| out)
    }

    fn attribute(raw: &str) -> Result<String, Misbehaved> {
        let mut out = String::new();
        canonicalise(raw, Place::Attribute, &mut out).map(|()| out)
    }

    #[test]
    fn text_is_canonical() {
        assert_eq!(text("a &amp; b &#65;&#x42; > 'q' \"d\"").unwrap(), "a &amp; b AB &gt; 'q' \"d\"");
        assert_eq!(text("a\r\nb\rc\u{FEFF}\u{FFFD}").unwrap(), "a\nb\nc\u{FEFF}\u{FFFD}");
        assert_eq!(text("&#13;").unwrap(), "&#xD;");
    }

    #[test]
    fn attributes_are_normalised() {
        assert_eq!(attribute("a\tb\nc'&quot;&#10;").unwrap(), "a b c&apos;\"&#xA;");
        assert_eq!(attribute("a<b"), Err(Misbehaved::Tag));
    }

    #[test]
    fn forbidden_characters_and_references_are_refused() {
        for raw in ["\0", "\u{1}", "\u{FFFE}", "&#0;", "&#xFFFF;", "&#xD800;", "\u{1F}"] {
            assert_eq!(text(raw), Err(Misbehaved::Character), "{raw:?}");
        }
        assert_eq!(text("&eacute;"), Err(Misbehaved::EntityReference));
        for raw in ["&", "&;", "&#;", "&#x;", "&#+65;", "&#99999999999;", "& amp;"] {
            assert_eq!(text(raw), Err(Misbehaved::Reference), "{raw:?}");
        }
        assert_eq!(text("]]>"), Err(Misbehaved::Tag));
    }

    #[test]
    fn escaping_can_be_read_back() {
        let wild = "a<b>&'\"\r\n\té🤷ïﬁ\u{7F}\u{85}\u{FFFD}";
        for place in [Place::Attribute, Place::Text] {
            let mut out = String::new();
            escape(wild, place, &mut out);
            assert_eq!(unescape(&out), wild);
        }
    }

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        let mut out = String::new();
        escape("a\0b\u{1F}c\u{FFFE}d\u{FFFF}", Place::Text, &mut out);
        assert_eq!(out, "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}");
    }
}
