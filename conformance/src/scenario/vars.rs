//! Variables of a scenario: `${romeo}`, `${base64:…}`, `${repeat:3:…}`, and the escapes of raw text.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::xml::escape;

/// No payload grows beyond this.
const EXPANDED_BYTES_MAX: usize = 10 << 20;

/// What happens to the text around and in variables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// Values are escaped for XML; the text is taken as it stands.
    Xml,
    /// Values go in as they are; `\x00` and its like are resolved.
    Raw,
    /// Values go in as they are; the text is taken as it stands.
    Plain,
}

/// Names and their values.
#[derive(Default)]
pub(crate) struct Vars {
    values: HashMap<String, String>,
}

impl Vars {
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The text with its variables filled in, as bytes because of `\xff`.
    ///
    /// # Errors
    /// An unknown variable, or bad syntax.
    pub(crate) fn bytes(&self, text: &str, how: Escaping) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        self.expand(text, how, None, &mut out)?;
        Ok(out)
    }

    /// As [`Self::bytes`], for text.
    pub(crate) fn text(&self, text: &str, how: Escaping) -> Result<String, String> {
        self.turn(text, how, None)
    }

    /// As [`Self::text`], where `${#}` is the number of the turn.
    pub(crate) fn turn(&self, text: &str, how: Escaping, turn: Option<u32>) -> Result<String, String> {
        let mut out = Vec::new();
        self.expand(text, how, turn, &mut out)?;
        String::from_utf8(out).map_err(|_| "not UTF-8 after filling in the variables".to_owned())
    }

    fn expand(&self, text: &str, how: Escaping, turn: Option<u32>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("$${") {
                out.extend_from_slice(b"${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let end = closing_brace(after).ok_or("a `${` is not closed")?;
                self.variable(&after[..end], how, turn, out)?;
                rest = &after[end + 1..];
            } else if character == '\\' && how == Escaping::Raw {
                rest = unescape(&rest[1..], out)?;
            } else {
                out.extend_from_slice(character.to_string().as_bytes());
                rest = &rest[character.len_utf8()..];
            }
            if out.len() > EXPANDED_BYTES_MAX {
                return Err(format!("more than {EXPANDED_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }

    fn variable(
        &self,
        name: &str,
        how: Escaping,
        turn: Option<u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let value = if let Some(inner) = name.strip_prefix("base64:") {
            let mut bytes = Vec::new();
            self.expand(inner, Escaping::Raw, turn, &mut bytes)?;
            STANDARD.encode(bytes)
        } else if let Some(inner) = name.strip_prefix("repeat:") {
            return self.repeat(inner, how, out);
        } else if let Some(digits) = name.strip_prefix("random:") {
            random_hex(digits.parse().map_err(|_| format!("`{digits}` is not a number"))?)?
        } else if name == "#" {
            turn.ok_or("`${#}` stands outside of a repetition")?.to_string()
        } else {
            let known = self.get(name);
            known.ok_or_else(|| format!("nothing is known as ${{{name}}} here"))?.to_owned()
        };
        match how {
            Escaping::Xml => out.extend_from_slice(escape(&value).as_bytes()),
            Escaping::Raw | Escaping::Plain => out.extend_from_slice(value.as_bytes()),
        }
        Ok(())
    }

    fn repeat(&self, inner: &str, how: Escaping, out: &mut Vec<u8>) -> Result<(), String> {
        let (count, text) = inner.split_once(':').ok_or("repeat wants ${repeat:N:TEXT}")?;
        let count: u32 = count.parse().map_err(|_| format!("`{count}` is not a number"))?;
        for turn in 1..=count {
            self.expand(text, how, Some(turn), out)?;
            if out.len() > EXPANDED_BYTES_MAX {
                return Err(format!("more than {EXPANDED_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }
}

/// Where the brace that is open before `text` is closed.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Resolves one escape, of which the backslash is gone; returns what follows it.
fn unescape<'a>(rest: &'a str, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let bad = || format!("unknown escape \\{}", rest.chars().take(8).collect::<String>());
    let mut characters = rest.chars();
    match characters.next().ok_or_else(bad)? {
        '0' => out.push(0),
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        's' => out.push(b' '),
        '\\' => out.push(b'\\'),
        'x' => {
            let digits = rest.get(1..3).ok_or_else(bad)?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            return Ok(&rest[3..]);
        }
        'u' => {
            let (digits, after) =
                rest[1..].strip_prefix('{').and_then(|text| text.split_once('}')).ok_or_else(bad)?;
            let code = u32::from_str_radix(digits, 16).map_err(|_| bad())?;
            let character = char::from_u32(code).ok_or_else(bad)?;
            out.extend_from_slice(character.to_string().as_bytes());
            return Ok(after);
        }
        _ => return Err(bad()),
    }
    Ok(characters.as_str())
}

/// Random hexadecimal digits.
pub(crate) fn random_hex(digits: usize) -> Result<String, String> {
    if digits > 10_000 {
        return Err("too many random digits".to_owned());
    }
    let mut bytes = vec![0_u8; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        let mut vars = Vars::default();
        vars.set("romeo", "romeo@example.test");
        vars.set("odd", "<&'");
        vars.set("romeo:name", "r1");
        vars
    }

    #[test]
    fn values_are_filled_in_and_escaped_where_xml_is_written() {
        assert_eq!(
            vars().text("to='${romeo}' $${x} ${odd}", Escaping::Xml).unwrap(),
            "to='romeo@example.test' ${x} &lt;&amp;&apos;"
        );
        assert_eq!(vars().text("${odd}\\n", Escaping::Plain).unwrap(), "<&'\\n");
    }

    #[test]
    fn functions_nest() {
        assert_eq!(vars().text("${base64:\\0${romeo:name}\\0p}", Escaping::Xml).unwrap(), "AHIxAHA=");
        assert_eq!(
            vars().text("${repeat:3:<a n='${#}'>}", Escaping::Xml).unwrap(),
            "<a n='1'><a n='2'><a n='3'>"
        );
        assert_eq!(vars().text("${random:7}", Escaping::Xml).unwrap().len(), 7);
    }

    #[test]
    fn raw_text_has_escapes() {
        assert_eq!(
            vars().bytes("\\x00\\xff\\u{e9}\\n\\s\\\\", Escaping::Raw).unwrap(),
            b"\x00\xff\xc3\xa9\n \\"
        );
        for bad in ["\\q", "\\x0", "\\xzz", "\\u{}", "\\"] {
            assert!(vars().bytes(bad, Escaping::Raw).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for bad in ["${nobody}", "${romeo", "${repeat:x:a}", "${#}", "${repeat:4000000000:aaaaaaaa}"] {
            assert!(vars().text(bad, Escaping::Xml).is_err(), "{bad}");
        }
    }
}
