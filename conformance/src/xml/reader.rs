//! Bytes from the server → stream header, elements, close. Anything RFC 6120 §11 forbids is an error here.

use std::collections::VecDeque;

use rxml::error::EndOrError;
use rxml::parser::WithOptions;
use rxml::{Event, Options, Parse, Parser, RawEvent, RawParser};

use super::{CLIENT, Element, STREAM};

/// Longest name, attribute value or piece of text that is taken from a server.
const TOKEN_BYTES_MAX: usize = 16 << 20;

/// A stream header, RFC 6120 §4.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The root element, without children.
    pub(crate) element: Element,
    /// What `xmlns` says, RFC 6120 §4.8.2.
    pub(crate) content_ns: Option<String>,
}

/// One thing at the top level of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Header(Header),
    Element(Element),
    /// `</stream:stream>`
    Close,
}

/// Reads one stream; a restarted stream takes a new reader.
pub(crate) struct StreamReader {
    parser: Parser,
    /// All bytes up to the header: the namespaces it declares are read from them.
    head: Option<Vec<u8>>,
    open: Vec<Element>,
    ended: bool,
}

impl StreamReader {
    pub(crate) fn new() -> Self {
        Self { parser: parser(), head: Some(Vec::new()), open: Vec::new(), ended: false }
    }

    /// Takes bytes and appends what they complete.
    ///
    /// # Errors
    /// What is wrong with the XML; the reader cannot be used afterwards.
    pub(crate) fn push(&mut self, bytes: &[u8], items: &mut VecDeque<Item>) -> Result<(), String> {
        let mut rest = bytes;
        while !self.ended {
            let before = rest;
            let event = self.parser.parse(&mut rest, false);
            if let Some(head) = &mut self.head {
                head.extend_from_slice(&before[..before.len() - rest.len()]);
            }
            match event {
                Ok(Some(event)) => self.event(event, items)?,
                Ok(None) => return Ok(()),
                Err(EndOrError::NeedMoreData) => return Ok(()),
                Err(EndOrError::Error(error)) => return Err(format!("bad XML: {error}")),
            }
        }
        match rest.iter().all(u8::is_ascii_whitespace) {
            true => Ok(()),
            false => Err(format!("bytes after </stream:stream>: {:?}", String::from_utf8_lossy(rest))),
        }
    }

    fn event(&mut self, event: Event, items: &mut VecDeque<Item>) -> Result<(), String> {
        match event {
            Event::XmlDeclaration(..) => Ok(()),
            Event::StartElement(_, (ns, name), attributes) => {
                let mut element = Element::new(ns.as_str(), name.as_str());
                for ((ns, name), value) in attributes {
                    element.attributes.insert((ns.as_str().to_owned(), name.as_str().to_owned()), value);
                }
                if let Some(head) = self.head.take() {
                    items.push_back(Item::Header(header(element.clone(), &head)?));
                }
                self.open.push(element);
                Ok(())
            }
            Event::EndElement(_) => {
                let done = self.open.pop().ok_or("an end without a start")?;
                match self.open.len() {
                    0 => {
                        self.ended = true;
                        items.push_back(Item::Close);
                    }
                    1 => items.push_back(Item::Element(done)),
                    _ => {
                        if let Some(parent) = self.open.last_mut() {
                            parent.nodes.push(super::Node::Element(done));
                        }
                    }
                }
                Ok(())
            }
            Event::Text(_, text) => match self.open.as_mut_slice() {
                [_, .., innermost] => {
                    innermost.push_text(&text);
                    Ok(())
                }
                _ if text.trim_ascii().is_empty() => Ok(()),
                _ => Err(format!("text between stanzas: {text:?}")),
            },
        }
    }
}

fn parser() -> Parser {
    let options = Options { max_token_length: TOKEN_BYTES_MAX, ..Options::default() };
    let mut parser = Parser::with_options(options);
    parser.set_text_buffering(false);
    parser
}

/// The header's declarations, which the resolving parser does not tell.
fn header(element: Element, head: &[u8]) -> Result<Header, String> {
    let mut content_ns = None;
    let mut rest = head;
    let mut parser = RawParser::new();
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(RawEvent::Attribute(_, (None, name), value))) if name.as_str() == "xmlns" => {
                content_ns = Some(value);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(Header { element, content_ns }),
            Err(EndOrError::Error(error)) => return Err(format!("bad stream header: {error}")),
        }
    }
}

/// Elements of a piece of XML whose default namespace is `jabber:client` and that may use the prefix `stream`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_fragment(xml: &str) -> Result<Vec<Element>, String> {
    let mut items = VecDeque::new();
    let mut reader = StreamReader::new();
    reader.push(format!("<f xmlns='{CLIENT}' xmlns:stream='{STREAM}'>").as_bytes(), &mut items)?;
    reader.push(xml.as_bytes(), &mut items)?;
    if reader.ended {
        return Err("more ends than starts".to_owned());
    }
    reader.push(b"</f>", &mut items)?;
    if !reader.ended {
        return Err("an element is not closed".to_owned());
    }
    Ok(items
        .into_iter()
        .filter_map(|item| match item {
            Item::Element(element) => Some(element),
            Item::Header(_) | Item::Close => None,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams' id='x' xml:lang='en'>";

    fn read(bytes: &[u8], piece: usize) -> Result<VecDeque<Item>, String> {
        let mut items = VecDeque::new();
        let mut reader = StreamReader::new();
        for piece in bytes.chunks(piece) {
            reader.push(piece, &mut items)?;
        }
        Ok(items)
    }

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text = format!("{HEADER}<a>t<b xmlns='urn:b'/>&amp;</a> \n<c/></stream:stream>\n");
        for piece in [1, 2, 7, 1000] {
            let items = read(text.as_bytes(), piece).unwrap();
            assert_eq!(items.len(), 4, "cut into pieces of {piece}");
            let Item::Header(header) = &items[0] else { panic!("no header: {items:?}") };
            assert!(header.element.is(STREAM, "stream"));
            assert_eq!(header.content_ns.as_deref(), Some(CLIENT));
            let Item::Element(a) = &items[1] else { panic!("no element: {items:?}") };
            assert_eq!(a.to_string(), "<a xmlns=\"jabber:client\">t<b xmlns=\"urn:b\"/>&amp;</a>");
            assert_eq!(items[3], Item::Close);
        }
    }

    #[test]
    fn an_element_is_told_as_soon_as_it_is_complete() {
        let items = read(format!("{HEADER}<a>x</a>").as_bytes(), 1000).unwrap();
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn what_the_rfc_forbids_is_refused() {
        for bad in [
            "<!-- c -->",
            "<?pi x?>",
            "<p:a/>",
            "<a b='1' b='2'/>",
            "<a>&nbsp;</a>",
            "<a></b>",
            "text",
            "<a>\u{1}</a>",
            "<!DOCTYPE a>",
        ] {
            assert!(read(format!("{HEADER}{bad}").as_bytes(), 1000).is_err(), "{bad} was accepted");
        }
        assert!(read(b"<stream xmlns='a'>\xff\xff<a/>", 1000).is_err());
        assert!(read(format!("{HEADER}</stream:stream>x").as_bytes(), 1000).is_err());
    }

    #[test]
    fn fragments_must_be_whole() {
        assert!(parse_fragment("<a/><b/>").is_ok_and(|all| all.len() == 2));
        assert!(parse_fragment("<a>").is_err());
        assert!(parse_fragment("</f>").is_err());
        assert!(parse_fragment("<a b=c/>").is_err());
    }
}
