//! Shorthands of these tests.

use hearth_wire::{Flaw, Frame, Framer, FramerLimits, Header, Misbehaved, Nonza, Stanza, ns};

pub(crate) const LIMITS: FramerLimits = FramerLimits {
    element_bytes_max: 262_144,
    expansion_bytes_max: 1_024,
    elements_max: 20_000,
    depth_max: 100,
};

pub(crate) const HEADER: &str = "<stream:stream to='example.net' version='1.0' xmlns='jabber:client' \
                                 xmlns:stream='http://etherx.jabber.org/streams'>";

pub(crate) fn client() -> Framer {
    Framer::new(ns::CLIENT, LIMITS)
}

/// A framer whose stream is open.
pub(crate) fn opened() -> Framer {
    opened_with(HEADER, LIMITS)
}

pub(crate) fn opened_with(header: &str, limits: FramerLimits) -> Framer {
    let mut framer = client();
    assert!(matches!(framer.next(&mut header.as_bytes()), Ok(Some(Frame::Open(_)))), "{header}");
    framer.set_limits(limits);
    framer
}

/// All frames of the input, which must be right.
pub(crate) fn frames(framer: &mut Framer, input: impl AsRef<[u8]>) -> Vec<Frame> {
    let (frames, end) = read(framer, input);
    assert_eq!(end, Ok(()));
    frames
}

/// All frames of the input, and its breach if there is one.
pub(crate) fn read(framer: &mut Framer, input: impl AsRef<[u8]>) -> (Vec<Frame>, Result<(), Misbehaved>) {
    let mut rest = input.as_ref();
    let mut frames = Vec::new();
    loop {
        match framer.next(&mut rest) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => {
                assert!(rest.is_empty());
                return (frames, Ok(()));
            }
            Err(misbehaved) => return (frames, Err(misbehaved)),
        }
    }
}

/// The breach in what follows the usual header.
pub(crate) fn breach(input: impl AsRef<[u8]>) -> Option<Misbehaved> {
    read(&mut opened(), input).1.err()
}

pub(crate) fn header(document: &str) -> Header {
    match frames(&mut client(), document).remove(0) {
        Frame::Open(header) => *header,
        other => panic!("{other:?}"),
    }
}

/// The only stanza of the input, with its flaw.
pub(crate) fn flawed(input: &str) -> (Stanza, Option<Flaw>) {
    match <[Frame; 1]>::try_from(frames(&mut opened(), input)) {
        Ok([Frame::Stanza(stanza, flaw)]) => (stanza, flaw),
        other => panic!("{other:?}"),
    }
}

/// The only stanza of the input, which has no flaw.
pub(crate) fn stanza(input: &str) -> Stanza {
    let (stanza, flaw) = flawed(input);
    assert_eq!(flaw, None, "{input}");
    stanza
}

pub(crate) fn nonza(input: &str) -> Nonza {
    match <[Frame; 1]>::try_from(frames(&mut opened(), input)) {
        Ok([Frame::Nonza(nonza)]) => *nonza,
        other => panic!("{other:?}"),
    }
}

/// How a stanza leaves the server.
pub(crate) fn written(stanza: &Stanza) -> String {
    let mut out = String::new();
    stanza.write(&mut out, None, None);
    out
}

/// The content of a message with this content, as we write it.
pub(crate) fn canonical(content: &str) -> String {
    stanza(&format!("<message>{content}</message>")).payload.as_str().to_owned()
}
