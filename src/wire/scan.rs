//! Where one token of XML ends: found incrementally, so that a byte at a time costs no more than all at once.

use memchr::{memchr, memchr2, memmem};

use crate::attribute::is_space;
use crate::misbehaved::Misbehaved;

/// A whole token at the front of the input, with its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// `<name …>` or `</name>`.
    Tag(usize),
    /// `<?xml …?>`.
    Declaration(usize),
    /// `<![CDATA[…]]>`.
    CData(usize),
    /// Character data up to the next `<`.
    Text(usize),
}

impl Token {
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Tag(len) | Self::Declaration(len) | Self::CData(len) | Self::Text(len) => len,
        }
    }
}

/// How far the token at the front of the input was looked at.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Scan {
    looked: usize,
    quote: Option<u8>,
}

const CDATA: &[u8] = b"<![CDATA[";
const CDATA_END: &[u8] = b"]]>";
const DECLARATION: &[u8] = b"<?xml";
const DECLARATION_END: &[u8] = b"?>";

/// What ends a stretch of a tag outside of quotes. Such stretches are short: a look-up per byte is quick.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    stops[b'>' as usize] = true;
    stops[b'"' as usize] = true;
    stops[b'\'' as usize] = true;
    stops[b'<' as usize] = true;
    stops
};

impl Scan {
    /// The token at the front of `input`, or `None` while it is incomplete. `input` must begin with the same bytes
    /// as at the call before, if that answered `None`.
    pub(crate) fn token(&mut self, input: &[u8]) -> Result<Option<Token>, Misbehaved> {
        let found = match input {
            [] => None,
            [b'<', b'!', ..] => self.section(input)?,
            [b'<', b'?', ..] => self.declaration(input)?,
            [b'<', ..] => self.tag(input)?.map(Token::Tag),
            _ => self.text(input).map(Token::Text),
        };
        if found.is_some() {
            *self = Self::default();
        }
        Ok(found)
    }

    /// Finds the `>` that is not inside quotes. A second `<` before it can never become right (XML 1.0 §3.1).
    fn tag(&mut self, input: &[u8]) -> Result<Option<usize>, Misbehaved> {
        self.looked = self.looked.max(1);
        while let Some(rest) = input.get(self.looked..).filter(|rest| !rest.is_empty()) {
            let hit = match self.quote {
                Some(quote) => memchr2(quote, b'<', rest),
                None => rest.iter().position(|&byte| STOPS[byte as usize]),
            };
            let Some(at) = hit else {
                self.looked = input.len();
                return Ok(None);
            };
            self.looked += at + 1;
            match rest[at] {
                b'<' => return Err(Misbehaved::Tag),
                b'>' if self.quote.is_none() => return Ok(Some(self.looked)),
                byte => self.quote = if self.quote.is_some() { None } else { Some(byte) },
            }
        }
        Ok(None)
    }

    fn text(&mut self, input: &[u8]) -> Option<usize> {
        let from = self.looked;
        self.looked = input.len();
        memchr(b'<', input.get(from..)?).map(|at| from + at)
    }

    fn section(&mut self, input: &[u8]) -> Result<Option<Token>, Misbehaved> {
        match input.get(2) {
            None => Ok(None),
            Some(b'-') => Err(Misbehaved::Comment),
            Some(b'[') if begins_alike(input, CDATA) => {
                Ok(self.end(input, CDATA.len(), CDATA_END).map(Token::CData))
            }
            Some(b'[') => Err(Misbehaved::Tag),
            Some(_) => Err(Misbehaved::Doctype),
        }
    }

    fn declaration(&mut self, input: &[u8]) -> Result<Option<Token>, Misbehaved> {
        match input.get(DECLARATION.len()) {
            _ if !begins_alike(input, DECLARATION) => Err(Misbehaved::ProcessingInstruction),
            None => Ok(None),
            Some(&byte) if is_space(byte) => {
                Ok(self.end(input, DECLARATION.len(), DECLARATION_END).map(Token::Declaration))
            }
            Some(_) => Err(Misbehaved::ProcessingInstruction),
        }
    }

    /// Where the first `end` behind the first `start` bytes ends.
    fn end(&mut self, input: &[u8], start: usize, end: &[u8]) -> Option<usize> {
        let from = self.looked.max(start);
        // the end may have begun in what was looked at
        self.looked = input.len().saturating_sub(end.len() - 1);
        memmem::find(input.get(from..)?, end).map(|at| from + at + end.len())
    }
}

/// Whether `input` is, as far as it goes, the same as `start`.
fn begins_alike(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token, found from the whole input and byte by byte alike.
    fn check(input: &str) -> Result<Option<Token>, Misbehaved> {
        let whole = Scan::default().token(input.as_bytes());
        let mut scan = Scan::default();
        let mut stepwise = Ok(None);
        for end in 1..=input.len() {
            stepwise = scan.token(&input.as_bytes()[..end]);
            if !matches!(stepwise, Ok(None)) {
                break;
            }
        }
        assert_eq!(whole, stepwise, "{input}");
        whole
    }

    #[test]
    fn tokens_end_where_they_end() {
        assert_eq!(check("<a b='>' c=\">'\">x"), Ok(Some(Token::Tag(16))));
        assert_eq!(check("text<"), Ok(Some(Token::Text(4))));
        assert_eq!(check("<![CDATA[a]]]>b"), Ok(Some(Token::CData(14))));
        assert_eq!(check("<![CDATA[]]>b"), Ok(Some(Token::CData(12))));
        assert_eq!(check("<![CDATA[]>]]>b"), Ok(Some(Token::CData(14))));
        assert_eq!(check("<?xml version='1.0'?>"), Ok(Some(Token::Declaration(21))));
        assert_eq!(check("<?xml\t?>"), Ok(Some(Token::Declaration(8))));
        for incomplete in ["<", "<a b='", "text", "<!", "<![CDATA", "<![CDATA[]]", "<?xm", "<?xml", "<?xml ?"]
        {
            assert_eq!(check(incomplete), Ok(None), "{incomplete}");
        }
    }

    #[test]
    fn what_xmpp_forbids_is_seen_at_once() {
        assert_eq!(check("<!-"), Err(Misbehaved::Comment));
        assert_eq!(check("<!D"), Err(Misbehaved::Doctype));
        assert_eq!(check("<?x-"), Err(Misbehaved::ProcessingInstruction));
        assert_eq!(check("<?xmlx"), Err(Misbehaved::ProcessingInstruction));
        assert_eq!(check("<![X"), Err(Misbehaved::Tag));
    }
}
