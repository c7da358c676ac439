//! A first-level element in the making: its head is read, its content written in canonical form as it comes.

use crate::attribute::{ATTRIBUTES_MAX, Attribute, Tag, plain};
use crate::element::Nonza;
use crate::framer::{Frame, FramerLimits};
use crate::misbehaved::Misbehaved;
use crate::ns;
use crate::scope::{Names, Root, Scope};
use crate::stanza::{RawHead, Stanza, StanzaName};
use crate::text::{self, Place};
use crate::writer::{Prefixes, XmlWriter};

/// Room for the content of a usual chat message, so that it is not grown piece by piece.
const CONTENT_BYTES_USUAL: usize = 384;

/// The written form may be so many times as long as the received one, and longer by
/// [`FramerLimits::expansion_bytes_max`]. No text needs more: `>` takes four bytes, and most characters one. But where a
/// namespace has a prefix, each use of that takes a declaration: a long one, declared once on the stream, could be asked
/// for again by every short stanza.
const EXPANSION_MAX: usize = 4;

/// Attributes of a stanza that has all that RFC 6120 §8.1 defines, and its namespace.
const HEAD_ATTRIBUTES: usize = 6;

#[derive(Debug)]
enum Head {
    Stanza(RawHead),
    Nonza(Box<Nonza>),
}

#[derive(Debug)]
pub(crate) struct Building {
    head: Head,
    scope: Scope,
    writer: XmlWriter,
    elements: u32,
    /// Bytes received of it so far.
    pub(crate) bytes: u32,
}

impl Building {
    /// Begins at the start tag of a first-level element, which took so many bytes.
    pub(crate) fn new(
        tag: &Tag<'_>,
        bytes: usize,
        root: &Root,
        content: &'static str,
        limits: &FramerLimits,
    ) -> Result<Self, Misbehaved> {
        let names = Names { tag, scope: None, root };
        names.check_attributes()?;
        let namespace = names.element()?;
        if (namespace, tag.name.local()) == (ns::STREAM, "stream") {
            // its end tag will not come before that of the stream it is meant to be
            return Err(Misbehaved::SecondStream);
        }
        let stanza = if namespace == content { StanzaName::parse(tag.name.local()) } else { None };
        let head = match stanza {
            Some(_) if !tag.name.prefix().is_empty() => return Err(Misbehaved::PrefixedContent),
            Some(name) => Head::Stanza(stanza_head(name, names)?),
            None => Head::Nonza(Box::new(nonza_head(names, namespace)?)),
        };
        let writer = XmlWriter::with_capacity(if tag.empty { 0 } else { CONTENT_BYTES_USUAL });
        let mut building = Self { head, scope: Scope::default(), writer, elements: 0, bytes: bytes as u32 };
        building.count(limits)?;
        building.check_written(limits)?;
        if !tag.empty {
            building.scope.enter(tag)?;
        }
        Ok(building)
    }

    /// Counts one more element, which is not entered yet.
    fn count(&mut self, limits: &FramerLimits) -> Result<(), Misbehaved> {
        self.elements += 1;
        if self.elements > limits.elements_max {
            return Err(Misbehaved::TooManyElements(limits.elements_max));
        }
        // the root is open, too
        if self.scope.depth() + 1 >= limits.depth_max as usize {
            return Err(Misbehaved::TooDeep(limits.depth_max));
        }
        Ok(())
    }

    /// Whether its end tag came.
    pub(crate) fn is_complete(&self) -> bool {
        self.scope.depth() == 0
    }

    /// A start tag inside.
    pub(crate) fn start(
        &mut self,
        tag: &Tag<'_>,
        root: &Root,
        limits: &FramerLimits,
    ) -> Result<(), Misbehaved> {
        self.count(limits)?;
        let names = Names { tag, scope: Some(&self.scope), root };
        names.check_attributes()?;
        write_start(names, matches!(self.head, Head::Stanza(_)), &mut self.writer)?;
        if tag.empty {
            self.writer.close();
        } else {
            self.scope.enter(tag)?;
        }
        self.check_written(limits)
    }

    /// An end tag.
    pub(crate) fn end(&mut self, name: &str) -> Result<(), Misbehaved> {
        self.scope.leave(name)?;
        if !self.is_complete() {
            self.writer.close();
        }
        Ok(())
    }

    /// Character data inside.
    pub(crate) fn text(&mut self, raw: &str, place: Place, limits: &FramerLimits) -> Result<(), Misbehaved> {
        if raw.is_empty() {
            return Ok(());
        }
        text::canonicalise(raw, place, self.writer.text_sink())?;
        self.check_written(limits)
    }

    fn check_written(&self, limits: &FramerLimits) -> Result<(), Misbehaved> {
        let extended = if let Head::Stanza(head) = &self.head { head.extended.len() } else { 0 };
        let max = self.bytes as usize * EXPANSION_MAX + limits.expansion_bytes_max as usize;
        let fits = self.writer.as_str().len() + extended <= max;
        if fits { Ok(()) } else { Err(Misbehaved::TooManyBytesWritten(max.try_into().unwrap_or(u32::MAX))) }
    }

    /// The result.
    pub(crate) fn finish(self: Box<Self>) -> Frame {
        let payload = self.writer.into_payload();
        match self.head {
            Head::Stanza(head) => {
                let (stanza, flaw) = Stanza::read(head, payload);
                Frame::Stanza(stanza, flaw)
            }
            Head::Nonza(nonza) => Frame::Nonza(Box::new(Nonza { payload, ..*nonza })),
        }
    }
}

/// Writes a start tag our way. The content of a nonza inherits no content namespace: there, each is declared.
fn write_start(names: Names<'_, '_>, in_stanza: bool, writer: &mut XmlWriter) -> Result<(), Misbehaved> {
    let namespace = names.element()?;
    let local = names.tag.name.local();
    let mut attributes = names.tag.attributes.len();
    if in_stanza && writer.in_content() && is_content(namespace) {
        if !names.tag.name.prefix().is_empty() {
            return Err(Misbehaved::PrefixedContent);
        }
        writer.open_content(local);
    } else {
        attributes += usize::from(writer.open_declares(local, namespace));
    }
    for attribute in &names.tag.attributes {
        let value = attribute.value;
        match names.attribute(attribute)? {
            "" => writer.attr_canonical("", attribute.name.local(), |out| canonical(value, out))?,
            ns::XML => writer.attr_canonical("xml:", attribute.name.local(), |out| canonical(value, out))?,
            namespace => {
                attributes +=
                    usize::from(writer.attr_ns_declares(namespace, attribute.name.local(), &plain(value)?));
            }
        }
    }
    check_count(attributes)
}

/// What we write must pass where we would read it.
fn check_count(attributes: usize) -> Result<(), Misbehaved> {
    if attributes > ATTRIBUTES_MAX as usize {
        return Err(Misbehaved::TooManyAttributes(ATTRIBUTES_MAX));
    }
    Ok(())
}

fn canonical(value: &str, out: &mut String) -> Result<(), Misbehaved> {
    text::canonicalise(value, Place::Attribute, out)
}

/// Whether the namespace is the content namespace of any kind of stream. A `<body/>` of another kind's would be foreign
/// to us and yet become a body when the stanza goes over such a stream: nobody may see what we did not.
fn is_content(namespace: &str) -> bool {
    matches!(namespace, ns::CLIENT | ns::SERVER | ns::COMPONENT)
}

fn stanza_head(name: StanzaName, names: Names<'_, '_>) -> Result<RawHead, Misbehaved> {
    let mut head = RawHead::new(name);
    let mut prefixes = Prefixes::default();
    let mut written = HEAD_ATTRIBUTES;
    for attribute in &names.tag.attributes {
        let value = plain(attribute.value)?;
        match (names.attribute(attribute)?, attribute.name.local()) {
            ("", "to") => head.set_to(&value),
            ("", "from") => head.set_from(&value),
            ("", "id") => head.id = Some(value.into()),
            ("", "type") => head.set_type(&value),
            (ns::XML, "lang") => head.lang = Some(value.into()),
            ("" | ns::XML, _) => {} // RFC 6120 §8.1 defines no others, and what is not defined is not passed on
            (namespace, local) => {
                written += 1 + usize::from(prefixes.attr(&mut head.extended, namespace, local, &value));
            }
        }
    }
    check_count(written)?;
    Ok(head)
}

fn nonza_head(names: Names<'_, '_>, namespace: &str) -> Result<Nonza, Misbehaved> {
    let mut attributes = Vec::new();
    for Attribute { name, value } in &names.tag.attributes {
        let value = plain(value)?;
        if !name.has_prefix() {
            attributes.push((name.local().into(), value.into_owned()));
        }
    }
    let name = names.tag.name.local().into();
    Ok(Nonza { name, namespace: namespace.into(), attributes, payload: Default::default() })
}
