//! What holds for any bytes whatsoever. The fuzz target runs these, too.

use hearth_wire::{
    Flaw, Frame, Framer, FramerLimits, IqType, Jid, Kind, MessageType, Misbehaved, Nonza, Payload, Stanza, ns,
};

use crate::oracle::{self, Node, Tree};

const LIMITS: FramerLimits = FramerLimits {
    element_bytes_max: 100_000,
    expansion_bytes_max: 1_024,
    elements_max: 10_000,
    depth_max: 1_000,
};

/// Reads a stream from `document` and checks everything that can be checked about it. `cuts` says where reads end.
pub(crate) fn check(document: &[u8], cuts: &[u8]) {
    let _shown = Shown(document);
    let whole = outcome([document]);
    let consumed = check_splitting(document, cuts, &whole);
    check_agreement(document, consumed, &whole);
    for frame in &whole.frames {
        match frame {
            Frame::Stanza(stanza, flaw) => check_stanza(stanza, *flaw),
            Frame::Nonza(nonza) => check_index(&nonza.payload),
            Frame::Open(_) | Frame::Close => {}
        }
    }
}

/// Does so with reads of various lengths, the document's own bytes deciding.
pub(crate) fn check_bytes(document: &[u8]) {
    let cuts: Vec<u8> = document.iter().step_by(17).map(|byte| byte % 48).take(16).collect();
    check(document, &cuts);
}

/// Shows the document when a check fails.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("document: {}", self.0.escape_ascii());
        }
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    frames: Vec<Frame>,
    end: Result<(), Misbehaved>,
    is_amid: bool,
    has_kept: bool,
}

impl Outcome {
    fn new(framer: &Framer, frames: Vec<Frame>, end: Result<(), Misbehaved>) -> Self {
        Self { frames, end, is_amid: framer.is_amid(), has_kept: framer.has_kept() }
    }
}

fn drain(framer: &mut Framer, mut input: &[u8], frames: &mut Vec<Frame>) -> Result<(), Misbehaved> {
    while let Some(frame) = framer.next(&mut input)? {
        frames.push(frame);
    }
    assert!(input.is_empty(), "input is left though no frame is");
    Ok(())
}

fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    let mut frames = Vec::new();
    let end = pieces.into_iter().try_for_each(|piece| drain(&mut framer, piece, &mut frames));
    Outcome::new(&framer, frames, end)
}

/// However the bytes are cut, the outcome is the same. Answers how many bytes belong to whole tokens.
fn check_splitting(document: &[u8], cuts: &[u8], whole: &Outcome) -> usize {
    let mut pieces = Vec::new();
    let mut rest = document;
    for &cut in cuts {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(cut)));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    assert_eq!(outcome(pieces.iter().copied()), *whole, "cut in {cuts:?}");

    // every other piece is put aside first
    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    let mut frames = Vec::new();
    let mut pieces = pieces.iter();
    let end =
        std::iter::from_fn(|| pieces.next().map(|aside| (aside, pieces.next().copied().unwrap_or_default())))
            .try_for_each(|(aside, piece)| {
                framer.keep(aside);
                drain(&mut framer, piece, &mut frames)
            });
    assert_eq!(Outcome::new(&framer, frames, end), *whole, "kept in {cuts:?}");

    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    let mut frames = Vec::new();
    let mut consumed = 0;
    let end = document.iter().enumerate().try_for_each(|(at, byte)| {
        drain(&mut framer, std::slice::from_ref(byte), &mut frames)?;
        if !framer.has_kept() {
            consumed = at + 1;
        }
        Ok(())
    });
    assert_eq!(Outcome::new(&framer, frames, end), *whole, "byte by byte");
    consumed
}

/// The oracle takes what we take, and refuses what we refuse, but for the differences named here.
fn check_agreement(document: &[u8], consumed: usize, whole: &Outcome) {
    match whole.end {
        Ok(()) => {
            // white space in front of the declaration is our courtesy to clients that end their last line late
            let spaces =
                document.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(document.len());
            let theirs = oracle::read(document.get(spaces..consumed).unwrap_or_default());
            // of a standalone declaration the oracle allows less
            if document[spaces..].starts_with(b"<?xml") && contains(document, b"standalone") {
                return;
            }
            assert_eq!(theirs.error, None, "we took what the oracle does not");
            check_trees(theirs, &whole.frames);
        }
        // XMPP's rules and not XML's, or limits
        Err(
            Misbehaved::LooseText
            | Misbehaved::PrefixedContent
            | Misbehaved::SecondStream
            | Misbehaved::TooManyBytes(_)
            | Misbehaved::TooManyBytesWritten(_)
            | Misbehaved::TooManyElements(_)
            | Misbehaved::TooDeep(_)
            | Misbehaved::TooManyAttributes(_)
            | Misbehaved::TooManyDeclarations(_),
        ) => {}
        // known by the first bytes, while the oracle waits for more
        Err(
            Misbehaved::Comment
            | Misbehaved::Doctype
            | Misbehaved::ProcessingInstruction
            | Misbehaved::EarlyText
            | Misbehaved::AfterClose,
        ) => {}
        // the oracle looks at encoding a token at a time
        Err(Misbehaved::NotUtf8) if std::str::from_utf8(document).is_err() => {}
        // the oracle goes by the fifth edition of XML 1.0 alone, we by all of them
        Err(Misbehaved::Name) if has_disputed_name(document) => {}
        // the oracle lets other prefixes, or the default, be bound to the reserved namespaces (XML names §3 does not)
        Err(Misbehaved::Declaration) if contains(document, b"http://www.w3.org/") => {}
        // the oracle keeps the last of two default declarations
        Err(Misbehaved::DuplicateAttribute) if has_two_defaults(document) => {}
        // the oracle knows elements of the namespace that has none
        Err(Misbehaved::UnboundPrefix) if contains(document, b"<xml:") => {}
        Err(misbehaved) => {
            let theirs = oracle::read(document);
            // the declaration ends at the first `?>`; the oracle waits for one outside of quotes
            let is_in_declaration = theirs.root.is_none() && contains(document, b"?>");
            assert!(
                theirs.error.is_some() || is_in_declaration,
                "we refused what the oracle takes: {misbehaved:?}"
            );
        }
    }
}

/// Whether some tag declares its default namespace twice.
fn has_two_defaults(document: &[u8]) -> bool {
    document.split(|&byte| byte == b'<').any(|tag| {
        let defaults =
            tag.windows(6).filter(|part| part.starts_with(b"xmlns") && b"= \t\r\n".contains(&part[5]));
        defaults.count() > 1
    })
}

/// Whether some character beyond ASCII would not do in a name of ours.
fn has_disputed_name(document: &[u8]) -> bool {
    let text = String::from_utf8_lossy(document);
    text.chars().any(|c| !c.is_ascii() && !hearth_wire::text::is_name(&format!("a{c}")))
}

fn contains(document: &[u8], part: &[u8]) -> bool {
    document.windows(part.len()).any(|window| window == part)
}

/// Our frames mean what the document means.
fn check_trees(document: oracle::Document, frames: &[Frame]) {
    let mut frames = frames.iter();
    let Some(root) = document.root else {
        assert_eq!(frames.next(), None);
        return;
    };
    let Some(Frame::Open(header)) = frames.next() else { panic!("no header") };
    assert_eq!((&header.namespace, &header.name), (&root.namespace, &root.name));
    for (key, ours) in
        [("to", &header.to), ("from", &header.from), ("id", &header.id), ("version", &header.version)]
    {
        assert_eq!(root.attributes.get(&(String::new(), key.to_owned())), ours.as_ref());
    }
    assert_eq!(root.attributes.get(&(ns::XML.to_owned(), "lang".to_owned())), header.lang.as_ref());
    for theirs in root.children() {
        match frames.next() {
            Some(Frame::Stanza(stanza, flaw)) => check_stanza_tree(theirs, stanza, *flaw),
            Some(Frame::Nonza(nonza)) => check_nonza_tree(theirs, nonza),
            other => panic!("{other:?} for {theirs:?}"),
        }
    }
    assert_eq!(frames.next(), document.is_closed.then_some(&Frame::Close));
    assert_eq!(frames.next(), None);
}

fn check_stanza_tree(theirs: &Tree, stanza: &Stanza, flaw: Option<Flaw>) {
    let mut expected = theirs.clone();
    expected.content = expected.content.into_iter().map(as_content).collect();
    let attributes = std::mem::take(&mut expected.attributes);
    for ((namespace, name), value) in attributes {
        let value = match (namespace.as_str(), name.as_str()) {
            ("", "to" | "from") => match Jid::parse(&value) {
                Ok(jid) => jid.as_str().to_owned(),
                Err(_) => continue,
            },
            ("", "id") | (ns::XML, "lang") => value,
            ("", "type") if stanza.kind.type_name() == Some(&value) => value,
            ("", "type") => {
                assert!(
                    stanza.kind == Kind::Message(MessageType::Normal) || flaw.is_some(),
                    "{value} became another type"
                );
                continue;
            }
            ("" | ns::XML, _) => continue,
            _ => value,
        };
        expected.attributes.insert((namespace, name), value);
    }
    let mut written = String::new();
    stanza.write(&mut written, None, Some(ns::CLIENT));
    let mut ours = oracle::read(written.as_bytes());
    assert!(ours.error.is_none() && ours.is_closed, "{written}");
    let ours = ours.root.as_mut().expect("closed");
    if stanza.kind == Kind::Iq(IqType::Get) && flaw.is_some() {
        for tree in [&mut *ours, &mut expected] {
            tree.attributes.remove(&(String::new(), "type".to_owned()));
        }
    }
    assert_eq!(*ours, expected, "{written}");
}

/// Directly in a stanza, the content namespaces of all kinds of streams are one.
fn as_content(node: Node) -> Node {
    match node {
        Node::Tree(mut tree)
            if ["jabber:client", "jabber:server", "jabber:component:accept"].contains(&&*tree.namespace) =>
        {
            tree.namespace = ns::CLIENT.to_owned();
            tree.content = tree.content.into_iter().map(as_content).collect();
            Node::Tree(tree)
        }
        node => node,
    }
}

fn check_nonza_tree(theirs: &Tree, nonza: &Nonza) {
    assert_eq!((&*theirs.name, &*theirs.namespace), (&*nonza.name, &*nonza.namespace));
    let attributes = theirs.attributes.iter().filter(|((namespace, _), _)| namespace.is_empty());
    for ((_, name), value) in attributes.clone() {
        assert_eq!(nonza.attr(name), Some(value.as_str()));
    }
    assert_eq!(attributes.count(), nonza.attributes.len());
    let wrapped = format!("<w xmlns='urn:wrapper'>{}</w>", nonza.payload.as_str());
    let ours = oracle::read(wrapped.as_bytes());
    assert_eq!(ours.error, None, "{wrapped}");
    assert_eq!(ours.root.expect("closed").content, theirs.content, "{wrapped}");
}

/// What we write we read again as the same, and we write it again as the same: nothing hides in it.
fn check_stanza(stanza: &Stanza, flaw: Option<Flaw>) {
    check_index(&stanza.payload);
    let mut written = String::new();
    stanza.write(&mut written, None, Some(ns::CLIENT));
    let again = outcome(["<s>".as_bytes(), written.as_bytes()]);
    assert_eq!((again.end, again.has_kept), (Ok(()), false), "{written}");
    let [Frame::Open(_), Frame::Stanza(read, read_flaw)] = again.frames.as_slice() else {
        panic!("{written}")
    };
    if flaw.is_none() {
        assert_eq!((read, *read_flaw), (stanza, None), "{written}");
        assert_eq!(hearth_wire::framer::read_stanza(&written).as_ref(), Some(stanza));
    } else {
        assert_eq!(read.payload, stanza.payload);
    }
}

/// The index tells where the children are, and trees hold what the bytes say.
fn check_index(payload: &Payload) {
    for &child in payload.children() {
        let raw = payload.raw(child);
        let content = "urn:content";
        let tree = payload.element(child, content).unwrap_or_else(|| panic!("no tree of {raw}"));
        assert_eq!(tree.name(), payload.name(child));
        match payload.namespace(child) {
            Some(namespace) => assert_eq!(hearth_wire::text::unescape(namespace), tree.ns()),
            None => assert_eq!(tree.ns(), content),
        }
        // the content namespace comes from around the element, which is no attribute of it
        let wrapped = format!("<w xmlns='{content}'>{raw}</w>");
        let theirs = oracle::read(wrapped.as_bytes()).root.expect("closed");
        assert_eq!(theirs.content, [Node::Tree(Tree::from(&tree))], "{raw}");
    }
    let none = payload.retain(|_, _| false);
    assert_eq!(none.is_none(), payload.children().is_empty());
}
