//! A stream's life: declaration, header, white space, restart, end.

use hearth_wire::{Frame, FramerLimits, Misbehaved, ns};

use crate::support::{HEADER, LIMITS, client, frames, header, opened, opened_with, read};

#[test]
fn the_declaration_may_be_written_in_many_ways() {
    for declaration in [
        "",
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<?xml version='1.0' encoding='utf-8' ?>",
        "<?xml\n\tversion = '1.0'\r\nencoding = 'Utf-8' standalone='yes'?>\n",
        "<?xml version='1.0' standalone='no'?>",
        "\n<?xml version='1.0'?>\r\n \t",
        "   ",
    ] {
        let frames = frames(&mut client(), format!("{declaration}{HEADER}"));
        assert!(matches!(frames.as_slice(), [Frame::Open(_)]), "{declaration}");
    }
}

#[test]
fn a_header_tells_its_attributes() {
    let header = header(
        "<stream:stream from='juliet@im.example.com' to=\"im.example.com\" version='1.0' id='a&amp;&#x62;' xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:x='urn:x' x:to='evil' unknown=''>",
    );
    assert_eq!((header.prefix.as_str(), header.name.as_str()), ("stream", "stream"));
    assert_eq!(header.namespace, ns::STREAM);
    assert_eq!(header.content.as_deref(), Some(ns::CLIENT));
    assert_eq!(header.from.as_deref(), Some("juliet@im.example.com"));
    assert_eq!(header.to.as_deref(), Some("im.example.com"));
    assert_eq!(header.version.as_deref(), Some("1.0"));
    assert_eq!(header.id.as_deref(), Some("a&b"));
    assert_eq!(header.lang.as_deref(), Some("en"));
}

/// RFC 6120 §4.8.5: what is wrong about prefix and namespaces is for the stream to answer.
#[test]
fn a_header_of_another_kind_is_told_as_it_is() {
    let bare = header("<open>");
    assert_eq!((bare.prefix.as_str(), bare.namespace.as_str(), bare.content), ("", "", None));
    let default = header("<stream xmlns='http://etherx.jabber.org/streams'>");
    assert_eq!((default.prefix.as_str(), default.namespace.as_str()), ("", ns::STREAM));
    assert_eq!(default.content.as_deref(), Some(ns::STREAM));
    let unset = header("<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns=''>");
    assert_eq!((unset.prefix.as_str(), unset.content.as_deref()), ("s", Some("")));
}

#[test]
fn a_stream_opens_and_closes() {
    let mut framer = client();
    assert!(framer.is_amid());
    assert!(matches!(frames(&mut framer, HEADER).as_slice(), [Frame::Open(_)]));
    assert!(!framer.is_amid());
    assert_eq!(frames(&mut framer, "<message"), []);
    assert!(framer.is_amid() && framer.has_kept());
    assert_eq!(frames(&mut framer, ">"), []);
    assert!(framer.is_amid() && !framer.has_kept());
    assert!(matches!(frames(&mut framer, "</message>").as_slice(), [Frame::Stanza(..)]));
    assert!(!framer.is_amid());
    assert_eq!(frames(&mut framer, "</stream:stream\n>"), [Frame::Close]);
}

#[test]
fn a_root_may_be_empty() {
    let mut framer = client();
    let frames = frames(&mut framer, HEADER.replace('>', "/>"));
    assert!(matches!(frames.as_slice(), [Frame::Open(_), Frame::Close]));
    assert_eq!(read(&mut framer, "<message/>").1, Err(Misbehaved::AfterClose));
}

/// RFC 6120 §4.6.1, §11.7.
#[test]
fn white_space_keeps_the_stream_alive() {
    let mut framer = opened_with(HEADER, FramerLimits { element_bytes_max: 20, ..LIMITS });
    for _ in 0..10 {
        assert_eq!(frames(&mut framer, " \t\r\n \n"), []);
        assert!(!framer.is_amid());
    }
    assert_eq!(frames(&mut framer, " ".repeat(1_000)), []);
    assert_eq!(frames(&mut framer, " <message/>\n<message/> ").len(), 2);
    assert!(!framer.has_kept());
}

/// One frame at a time: what is behind it stays with the caller.
#[test]
fn input_behind_a_frame_is_not_consumed() {
    let mut framer = opened();
    let mut input = "<message id='1'/><message id='2'/><mess".as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Stanza(..)))));
    assert_eq!(input, b"<message id='2'/><mess");
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Stanza(..)))));
    assert!(matches!(framer.next(&mut input), Ok(None)));
    assert!(input.is_empty() && framer.has_kept());
}

/// RFC 6120 §4.3.3: a client may send its new header at once behind its last nonza.
#[test]
fn a_restart_keeps_what_was_sent_ahead() {
    let second =
        format!("<?xml version='1.0'?>{}<message id='1'/>", HEADER.replace("example.net", "example.org"));
    let behind = |framer: &mut hearth_wire::Framer, rest: &[u8]| {
        framer.restart();
        let frames = frames(framer, rest);
        assert!(
            matches!(frames.as_slice(), [Frame::Open(header), Frame::Stanza(..)] if header.to.as_deref() == Some("example.org")),
            "{frames:?}"
        );
    };
    // the rest still with the caller
    let (mut framer, input) = (opened(), format!("<auth/>{second}"));
    let mut rest = input.as_bytes();
    assert!(matches!(framer.next(&mut rest), Ok(Some(Frame::Nonza(_)))));
    behind(&mut framer, rest);
    // the rest already with the framer, as the frame was begun in an earlier read
    let mut framer = opened();
    assert_eq!(frames(&mut framer, "<aut"), []);
    let input = format!("h/>{second}");
    let mut rest = input.as_bytes();
    assert!(matches!(framer.next(&mut rest), Ok(Some(Frame::Nonza(_)))));
    assert!(rest.is_empty() && framer.has_kept());
    behind(&mut framer, rest);
    // and kept by the caller's wish
    let mut framer = opened();
    framer.keep(format!("<auth/>{second}").as_bytes());
    assert!(matches!(framer.next(&mut &b""[..]), Ok(Some(Frame::Nonza(_)))));
    behind(&mut framer, b"");
}

/// Prefixes and the default namespace of the first header mean nothing in the second.
#[test]
fn a_restart_forgets_declarations() {
    let mut framer = opened_with(&HEADER.replace("xmlns=", "xmlns:p='urn:p' xmlns="), LIMITS);
    framer.restart();
    frames(&mut framer, HEADER);
    assert_eq!(read(&mut framer, "<p:a/>").1, Err(Misbehaved::UnboundPrefix));
}

/// RFC 6120 §5.4.3.3.
#[test]
fn what_came_before_tls_can_be_discarded() {
    let mut framer = opened();
    assert_eq!(framer.discard(), 0);
    assert_eq!(frames(&mut framer, "<startt"), []);
    let mut input = "ls/><message>smuggled".as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Nonza(_)))));
    assert_eq!(framer.discard(), "<message>smuggled".len());
    assert!(!framer.has_kept() && !framer.is_amid());
    // and also what had been looked at already
    assert_eq!(frames(&mut framer, "<message a='>'><body>smuggled</bo"), []);
    assert_eq!(framer.discard(), "<message a='>'><body>smuggled</bo".len());
    framer.restart();
    assert_eq!(frames(&mut framer, format!("{HEADER}<message/>")).len(), 2);
}

#[test]
fn kept_input_waits_in_order() {
    let mut framer = opened();
    framer.keep(b"<message id='1'/><mess");
    framer.keep(b"age id='2'/><message id='3'");
    let mut ids = Vec::new();
    let mut input = &b"/> <message id='4'/>"[..];
    while let Ok(Some(Frame::Stanza(stanza, None))) = framer.next(&mut input) {
        ids.extend(stanza.id);
    }
    assert_eq!(ids.join(","), "1,2,3,4");
    assert!(!framer.has_kept());
}
