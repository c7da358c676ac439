//! Bytes to frames: the opening of a stream, its first-level elements, its end.
//!
//! Accepts exactly XMPP's XML (RFC 6120 §11): UTF-8, namespace-well-formed, no comment, processing instruction,
//! document type or entity beyond the predefined. Bounded in bytes, elements, attributes and depth. What passes is
//! written at once in canonical form; the received bytes go no further.
//!
//! However the bytes are cut into reads, the frames and the error are the same.

use crate::attribute::{self, Tag, plain};
use crate::building::Building;
use crate::element::Nonza;
use crate::misbehaved::Misbehaved;
use crate::ns;
use crate::scan::{Scan, Token};
use crate::scope::{Names, Root};
use crate::stanza::{Flaw, Stanza};
use crate::text;

/// What one first-level element may measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramerLimits {
    /// Bytes of one element (or of the stream header) as received.
    pub element_bytes_max: u32,
    /// As written it may take four times as many bytes as received, and so many more.
    pub expansion_bytes_max: u32,
    /// Elements in it, itself included.
    pub elements_max: u32,
    /// Open tags, the stream's own included.
    pub depth_max: u32,
}

/// The opening tag of a stream (RFC 6120 §4.7), its attributes as plain text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Local name of the root; `stream` in a right header.
    pub name: String,
    /// Namespace of the root; [`ns::STREAM`] in a right header.
    pub namespace: String,
    /// Prefix of the root; `stream` in a right header.
    pub prefix: String,
    /// The declared default namespace, i.e. the content namespace, if any.
    pub content: Option<String>,
    /// `to`.
    pub to: Option<String>,
    /// `from`.
    pub from: Option<String>,
    /// `id`.
    pub id: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `xml:lang`.
    pub lang: Option<String>,
}

/// What a peer sent, one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The stream was opened.
    Open(Box<Header>),
    /// A stanza; with a flaw it must not be routed but answered or, for a flawed `from`, end the stream.
    Stanza(Stanza, Option<Flaw>),
    /// Another first-level element.
    Nonza(Box<Nonza>),
    /// The stream was closed by its end tag.
    Close,
}

/// Where in the document the input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space came yet: an XML declaration is allowed here only.
    Start,
    /// Behind the declaration.
    Prolog,
    /// The root is open.
    Open,
    /// The root was `<stream:stream …/>`: its end is still to be told.
    OpenedEmpty,
    /// The root is closed.
    Closed,
    /// The peer went wrong; nothing behind it is looked at.
    Broken(Misbehaved),
}

/// Turns the bytes of one connection into [`Frame`]s.
#[derive(Debug)]
pub struct Framer {
    limits: FramerLimits,
    /// The content namespace that stanzas must have here.
    content: &'static str,
    place: Place,
    root: Root,
    scan: Scan,
    /// Input not yet consumed, from `kept_at` on; empty (and without memory) between stanzas.
    kept: Vec<u8>,
    kept_at: usize,
    building: Option<Box<Building>>,
}

impl Framer {
    /// A framer at the beginning of a connection.
    pub fn new(content: &'static str, limits: FramerLimits) -> Self {
        Self {
            limits,
            content,
            place: Place::Start,
            root: Root::default(),
            scan: Scan::default(),
            kept: Vec::new(),
            kept_at: 0,
            building: None,
        }
    }

    /// Sets other limits, from the next token on.
    pub fn set_limits(&mut self, limits: FramerLimits) {
        self.limits = limits;
    }

    /// A new document begins at the next byte (RFC 6120 §4.3.3). Bytes received behind the last frame are kept.
    pub fn restart(&mut self) {
        let (kept, kept_at) = (std::mem::take(&mut self.kept), self.kept_at);
        *self = Self { kept, kept_at, ..Self::new(self.content, self.limits) };
    }

    /// Forgets input behind the last frame and answers how many bytes it was: what was sent in plain text behind
    /// `<starttls/>` must not be taken for protected data (RFC 6120 §5.4.3.3).
    pub fn discard(&mut self) -> usize {
        let begun = self.building.take().map_or(0, |building| building.bytes as usize);
        let kept = std::mem::take(&mut self.kept).len() - std::mem::take(&mut self.kept_at);
        self.scan = Scan::default();
        begun + kept
    }

    /// Whether unconsumed input is kept.
    pub fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether an element has begun but not ended (for deadlines against slow senders).
    pub fn is_amid(&self) -> bool {
        self.has_kept() || self.building.is_some() || !matches!(self.place, Place::Open)
    }

    /// Keeps input for later calls of `next` (with an empty input), without looking at it.
    pub fn keep(&mut self, input: &[u8]) {
        self.kept.extend_from_slice(input);
    }

    /// Consumes `input` up to the end of the next frame, and answers it; `None` when all was consumed (or kept).
    ///
    /// # Errors
    /// The peer's breach of XMPP's XML or of a limit; every later call answers the same until `restart`.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Misbehaved> {
        match self.place {
            Place::Broken(misbehaved) => return Err(misbehaved),
            Place::OpenedEmpty => {
                self.place = Place::Closed;
                return Ok(Some(Frame::Close));
            }
            _ => {}
        }
        let frame = if self.kept.is_empty() { self.next_of(input) } else { self.next_of_kept(input) };
        if let Err(misbehaved) = frame {
            *self = Self { place: Place::Broken(misbehaved), ..Self::new(self.content, self.limits) };
        }
        frame
    }

    fn next_of(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Misbehaved> {
        let (consumed, frame) = self.advance(input)?;
        *input = &input[consumed..];
        if frame.is_none() {
            self.kept = input.to_vec();
            *input = &[];
        }
        Ok(frame)
    }

    fn next_of_kept(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Misbehaved> {
        let mut kept = std::mem::take(&mut self.kept);
        let mut from = std::mem::take(&mut self.kept_at);
        if !input.is_empty() {
            // what was consumed is given up only when something is added: each byte is moved at most once a read
            kept.drain(..from);
            from = 0;
            kept.extend_from_slice(input);
            *input = &[];
        }
        let (consumed, frame) = self.advance(&kept[from..])?;
        if from + consumed < kept.len() {
            (self.kept, self.kept_at) = (kept, from + consumed);
        }
        Ok(frame)
    }

    /// Consumes whole tokens until a frame ends or the input does.
    fn advance(&mut self, input: &[u8]) -> Result<(usize, Option<Frame>), Misbehaved> {
        let mut at = 0;
        loop {
            if self.building.is_none() {
                at += self.between(&input[at..])?;
            }
            let rest = &input[at..];
            let max = self.limits.element_bytes_max;
            let room =
                max.saturating_sub(self.building.as_ref().map_or(0, |building| building.bytes)) as usize;
            // a token is looked for where it may end, so that a limit holds at the same byte however the input is cut
            let Some(token) = self.scan.token(rest.get(..room).unwrap_or(rest))? else {
                return if rest.len() > room { Err(Misbehaved::TooManyBytes(max)) } else { Ok((at, None)) };
            };
            let len = token.len();
            at += len;
            if let Some(building) = &mut self.building {
                building.bytes += len as u32;
            }
            let raw = std::str::from_utf8(&rest[..len]).map_err(|_| Misbehaved::NotUtf8)?;
            if let Some(frame) = self.take(token, raw)? {
                return Ok((at, Some(frame)));
            }
        }
    }

    /// Skips what stands in front of a first-level element or the root: white space, which keeps the connection alive
    /// (RFC 6120 §4.6.1) and needs no keeping.
    fn between(&self, input: &[u8]) -> Result<usize, Misbehaved> {
        let spaces = input.iter().position(|&byte| !attribute::is_space(byte)).unwrap_or(input.len());
        match (input.get(spaces), self.place) {
            (None, _) => Ok(spaces),
            (Some(_), Place::Closed) => Err(Misbehaved::AfterClose),
            (Some(b'<'), _) => Ok(spaces),
            // no UTF-8 begins so: UTF-16 by its byte order mark, or Latin-1 (RFC 6120 §11.6)
            (Some(0x80..=0xC1 | 0xF5..=0xFF), _) => Err(Misbehaved::NotUtf8),
            (Some(_), Place::Open) => Err(Misbehaved::LooseText),
            (Some(_), _) => Err(Misbehaved::EarlyText),
        }
    }

    fn take(&mut self, token: Token, raw: &str) -> Result<Option<Frame>, Misbehaved> {
        match token {
            Token::Tag(_) if raw.starts_with("</") => {
                self.end_tag(attribute::trim_end(&raw[2..raw.len() - 1]))
            }
            Token::Tag(_) => self.start_tag(raw),
            Token::Text(_) => self.text(raw, text::Place::Text),
            Token::CData(_) => self.text(&raw["<![CDATA[".len()..raw.len() - 3], text::Place::CData),
            Token::Declaration(_) => self.declaration(&raw[2..raw.len() - 2]),
        }
    }

    /// The XML declaration (XML 1.0 §2.8). `standalone` says nothing where no DTD can be (RFC 6120 §11.5).
    fn declaration(&mut self, inside: &str) -> Result<Option<Frame>, Misbehaved> {
        if self.place != Place::Start {
            return Err(Misbehaved::XmlDeclaration);
        }
        let mut tag = Tag::default();
        tag.read(inside).map_err(|_| Misbehaved::XmlDeclaration)?;
        let mut parts = tag.attributes.iter().map(|part| (part.name.whole(), part.value)).peekable();
        let version = parts.next_if(|(name, _)| *name == "version");
        let encoding = parts.next_if(|(name, _)| *name == "encoding");
        let standalone = parts.next_if(|(name, _)| *name == "standalone");
        if encoding.is_some_and(|(_, value)| !value.eq_ignore_ascii_case("utf-8")) {
            return Err(Misbehaved::Encoding);
        }
        let right = version == Some(("version", "1.0"))
            && standalone.is_none_or(|(_, value)| matches!(value, "yes" | "no"))
            && parts.next().is_none()
            && tag.declared.is_empty()
            && !tag.empty;
        if !right {
            return Err(Misbehaved::XmlDeclaration);
        }
        self.place = Place::Prolog;
        Ok(None)
    }

    fn start_tag(&mut self, raw: &str) -> Result<Option<Frame>, Misbehaved> {
        let mut tag = Tag::default();
        tag.read(&raw[1..raw.len() - 1])?;
        if self.place != Place::Open {
            return self.open(&tag).map(Some);
        }
        if let Some(building) = &mut self.building {
            building.start(&tag, &self.root, &self.limits)?;
            return Ok(None);
        }
        let building = Box::new(Building::new(&tag, raw.len(), &self.root, self.content, &self.limits)?);
        if building.is_complete() {
            return Ok(Some(building.finish()));
        }
        self.building = Some(building);
        Ok(None)
    }

    fn end_tag(&mut self, name: &str) -> Result<Option<Frame>, Misbehaved> {
        match self.building.take() {
            Some(mut building) => {
                building.end(name)?;
                if building.is_complete() {
                    return Ok(Some(building.finish()));
                }
                self.building = Some(building);
                Ok(None)
            }
            None if self.place == Place::Open && self.root.ends_with(name) => {
                self.place = Place::Closed;
                self.root = Root::default();
                Ok(Some(Frame::Close))
            }
            None => Err(Misbehaved::UnmatchedEnd),
        }
    }

    fn text(&mut self, raw: &str, place: text::Place) -> Result<Option<Frame>, Misbehaved> {
        match &mut self.building {
            Some(building) => building.text(raw, place, &self.limits).map(|()| None),
            None if self.place == Place::Open => Err(Misbehaved::LooseText),
            None => Err(Misbehaved::EarlyText),
        }
    }

    fn open(&mut self, tag: &Tag<'_>) -> Result<Frame, Misbehaved> {
        let names = Names { tag, scope: None, root: &Root::default() };
        names.check_attributes()?;
        let mut header = Header {
            name: tag.name.local().into(),
            namespace: names.element()?.into(),
            prefix: tag.name.prefix().into(),
            content: tag
                .declared
                .iter()
                .find(|(prefix, _)| prefix.is_empty())
                .map(|(_, content)| content.to_string()),
            ..Header::default()
        };
        for attribute in &tag.attributes {
            let value = plain(attribute.value)?.into_owned();
            match (names.attribute(attribute)?, attribute.name.local()) {
                ("", "to") => header.to = Some(value),
                ("", "from") => header.from = Some(value),
                ("", "id") => header.id = Some(value),
                ("", "version") => header.version = Some(value),
                (ns::XML, "lang") => header.lang = Some(value),
                _ => {}
            }
        }
        self.root = Root::of(tag);
        self.place = if tag.empty { Place::OpenedEmpty } else { Place::Open };
        Ok(Frame::Open(Box::new(header)))
    }
}

/// Reads back one stanza that was written on its own, with its namespace declared (`Stanza::write` with `xmlns`).
pub fn read_stanza(text: &str) -> Option<Stanza> {
    let (element_bytes_max, elements_max, depth_max) = (u32::MAX, u32::MAX, u32::MAX);
    // it was written once and is no longer now
    let limits = FramerLimits { element_bytes_max, expansion_bytes_max: 0, elements_max, depth_max };
    let mut framer = Framer { place: Place::Open, ..Framer::new(ns::CLIENT, limits) };
    let mut rest = text.as_bytes();
    match framer.next(&mut rest) {
        Ok(Some(Frame::Stanza(stanza, None))) if rest.is_empty() => Some(stanza),
        _ => None,
    }
}
