//! What the framer costs in memory: per stanza, and per idle connection, of which there are many (RFC 6120 §4.6.3).

#![allow(clippy::unwrap_used)] // an expectation that fails is what a test is for

use allocation_counter::measure;
use hearth_wire::{Frame, Framer, FramerLimits, ns};

const LIMITS: FramerLimits = FramerLimits {
    element_bytes_max: 262_144,
    expansion_bytes_max: 1_024,
    elements_max: 20_000,
    depth_max: 100,
};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.net' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

const MESSAGE: &str = "<message to='juliet@example.net' type='chat' id='b7f1c2d0-5e2a-4d7e-9d55-2f0c8f6a7e11'>\
    <body>Wherefore art thou Romeo? Deny thy father and refuse thy name; or, if thou wilt not, be sworn.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <markable xmlns='urn:xmpp:chat-markers:0'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='b7f1c2d0-5e2a-4d7e-9d55'/></message>";

#[test]
fn an_idle_framer_is_small_and_owns_nothing() {
    assert!(size_of::<Framer>() <= 300, "{} bytes", size_of::<Framer>());
    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    let nested =
        format!("<iq id='1' type='get'>{}{}</iq>", "<p:q xmlns:p='urn:p'>".repeat(90), "</p:q>".repeat(90));
    let spent = measure(|| {
        for input in [HEADER, " ", MESSAGE, "\n", &nested, "<r xmlns='urn:xmpp:sm:3'/>", " "] {
            // whole, in pieces, and kept for later
            drain(&mut framer, input.as_bytes());
            if input != HEADER {
                input.as_bytes().chunks(7).for_each(|piece| drain(&mut framer, piece));
                framer.keep(input.as_bytes());
                drain(&mut framer, b"");
            }
        }
    });
    assert!(!framer.is_amid());
    assert!(spent.count_total > 0);
    assert_eq!((spent.count_current, spent.bytes_current), (0, 0));
}

#[test]
fn a_chat_message_takes_few_allocations() {
    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    drain(&mut framer, HEADER.as_bytes());
    let mut stanza = None;
    let spent = measure(|| stanza = framer.next(&mut MESSAGE.as_bytes()).unwrap());
    // `to`, `id`, content, its index, and two while it is built
    assert!(spent.count_total <= 6, "{spent:?}");
    let Some(Frame::Stanza(stanza, None)) = stanza else { panic!("{stanza:?}") };
    let mut out = String::with_capacity(1024);
    let spent = measure(|| stanza.write(&mut out, None, None));
    assert_eq!(spent.count_total, 0, "{spent:?}");
    let spent = measure(|| drop(stanza.clone()));
    assert!(spent.count_total <= 1, "{spent:?}");
}

fn drain(framer: &mut Framer, mut input: &[u8]) {
    while framer.next(&mut input).unwrap().is_some() {}
}
