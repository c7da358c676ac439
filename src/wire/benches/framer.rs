//! What one chat message costs on its way through: bytes to stanza, stanza to bytes.
//!
//! `cargo bench -p hearth-wire`. Figures of one machine are worth comparing with each other, and with no others.

#![allow(clippy::print_stdout)] // a report is what this is for

use std::hint::black_box;
use std::time::Instant;

use hearth_wire::{Frame, Framer, FramerLimits, Stanza, ns};

const LIMITS: FramerLimits = FramerLimits {
    element_bytes_max: 262_144,
    expansion_bytes_max: 1_024,
    elements_max: 20_000,
    depth_max: 100,
};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.net' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

/// 400 bytes as a client of today writes them.
const MESSAGE: &str = "<message to='juliet@example.net' type='chat' id='b7f1c2d0-5e2a-4d7e-9d55-2f0c8f6a7e11'>\
    <body>Wherefore art thou Romeo? Deny thy father and refuse thy name; or, if thou wilt not, be sworn.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <markable xmlns='urn:xmpp:chat-markers:0'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='b7f1c2d0-5e2a-4d7e-9d55'/></message>";

/// Short runs, and many: one of them is not interrupted.
const ROUNDS: u32 = 500;
const RUNS: u32 = 1_000;

fn main() {
    println!("message of {} bytes", MESSAGE.len());
    let mut framer = Framer::new(ns::CLIENT, LIMITS);
    assert!(matches!(framer.next(&mut HEADER.as_bytes()), Ok(Some(Frame::Open(_)))));
    let stanza = parse(&mut framer);
    report("parse", || drop(black_box(parse(&mut framer))));
    let mut out = String::with_capacity(1024);
    report("write", || {
        out.clear();
        black_box(&stanza).write(&mut out, stanza.to.as_ref(), None);
        black_box(&out);
    });
}

fn parse(framer: &mut Framer) -> Stanza {
    match framer.next(&mut black_box(MESSAGE).as_bytes()) {
        Ok(Some(Frame::Stanza(stanza, None))) => stanza,
        other => panic!("not a stanza: {other:?}"),
    }
}

/// The best of several runs: noise only ever adds.
fn report(step: &str, mut run: impl FnMut()) {
    let mut best_ns = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            run();
        }
        best_ns = best_ns.min(start.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
    }
    println!("{step:<8}{best_ns:>8.0} ns");
}
