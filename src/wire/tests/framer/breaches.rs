//! Every way of misbehaving, with the stream error it earns.

use hearth_wire::{Frame, Misbehaved, StreamCondition};

use crate::support::{HEADER, breach, client, frames, opened, read};

/// What a breach earns: variant and condition, as the RFC asks.
#[track_caller]
fn earns(found: Option<Misbehaved>, expected: Misbehaved, condition: &str) {
    assert_eq!(found, Some(expected));
    assert_eq!(StreamCondition::from(expected).name(), condition);
}

fn at_start(document: impl AsRef<[u8]>) -> Option<Misbehaved> {
    read(&mut client(), document).1.err()
}

/// RFC 6120 §4.8.4: its start tag decides; its end may never come.
#[test]
fn a_stream_holds_no_stream() {
    for second in [
        HEADER,
        "<stream:stream>",
        "<stream:stream/>",
        "<s:stream xmlns:s='http://etherx.jabber.org/streams'>",
    ] {
        earns(breach(second), Misbehaved::SecondStream, "unsupported-stanza-type");
    }
    assert_eq!(breach("<stream:other>"), None);
    assert_eq!(breach("<stream xmlns='urn:x'>"), None);
    assert_eq!(breach("<message><stream:stream/></message>"), None);
}

/// RFC 6120 §11.6.
#[test]
fn only_utf_8_is_understood() {
    let inside: [&[u8]; 6] = [
        b"<message><body>\xE9</body></message>",
        b"<message id='\xC0\xAF'/>",
        b"<message><body>\xED\xA0\x80</body></message>",
        b"<message><\xFF/></message>",
        b"<message><![CDATA[\xF5\x80\x80\x80]]></message>",
        b"<message></message\xC2>",
    ];
    for bytes in inside {
        earns(breach(bytes), Misbehaved::NotUtf8, "unsupported-encoding");
    }
    // UTF-16 and bytes that begin no character, where a tag could begin
    for bytes in [&b"\xFE\xFF\0<"[..], b"\xFF\xFE<\0", b" \x80", b"\xC0", b"\xF5"] {
        earns(at_start(bytes), Misbehaved::NotUtf8, "unsupported-encoding");
        earns(breach(bytes), Misbehaved::NotUtf8, "unsupported-encoding");
    }
    for encoding in ["ISO-8859-1", "UTF-16", ""] {
        let declaration = format!("<?xml version='1.0' encoding='{encoding}'?>");
        earns(at_start(declaration), Misbehaved::Encoding, "unsupported-encoding");
    }
}

/// XML 1.0 §2.2.
#[test]
fn characters_are_those_of_xml() {
    for text in [
        "\0",
        "\u{1}",
        "\u{B}",
        "\u{1F}",
        "\u{FFFE}",
        "\u{FFFF}",
        "&#0;",
        "&#x1;",
        "&#xD800;",
        "&#xFFFE;",
        "&#1114112;",
    ] {
        for stanza in [
            format!("<message><body>{text}</body></message>"),
            format!("<message><body a='{text}'/></message>"),
            format!("<message xmlns:x='{text}'/>"),
            format!("<message a='{text}'/>"),
        ] {
            earns(breach(&stanza), Misbehaved::Character, "not-well-formed");
        }
    }
    earns(breach("<message><![CDATA[\u{1}]]></message>"), Misbehaved::Character, "not-well-formed");
}

/// XML names §3, §7.
#[test]
fn names_are_those_of_xml() {
    for name in ["1a", "-a", ".a", ":a", "a:", "a:b:c", "a\u{D7}", "&amp;", "a\0"] {
        earns(breach(format!("<message><{name}/></message>")), Misbehaved::Name, "not-well-formed");
        earns(breach(format!("<message><a {name}=''/></message>")), Misbehaved::Name, "not-well-formed");
    }
    earns(breach("<>"), Misbehaved::Name, "not-well-formed");
    earns(breach("< message/>"), Misbehaved::Name, "not-well-formed");
}

#[test]
fn tags_are_well_formed() {
    for inside in
        ["<a b/>", "<a b=/>", "<a b=c/>", "<a b='1'c='2'/>", "<a b=''/ >", "<a '1'/>", "]]>", "<![cdata[x]]>"]
    {
        earns(breach(format!("<message>{inside}</message>")), Misbehaved::Tag, "not-well-formed");
    }
    // seen at once, whatever would follow
    for inside in ["<a <", "<a<", "<a b='<", "</a<", "<a b=<"] {
        earns(breach(format!("<message>{inside}")), Misbehaved::Tag, "not-well-formed");
    }
    earns(breach("<message id='<'/>"), Misbehaved::Tag, "not-well-formed");
    earns(breach("<message x='<'/>"), Misbehaved::Tag, "not-well-formed");
}

#[test]
fn attributes_come_once() {
    let twice = "xmlns:p='u' xmlns:q='u' p:a='' q:a=''";
    for input in [
        "<message id='1' id='2'/>".to_owned(),
        "<message><a k='1' k='1'/></message>".to_owned(),
        "<message xmlns:p='u' xmlns:p='u'/>".to_owned(),
        "<message xmlns='jabber:client' xmlns='jabber:client'/>".to_owned(),
        "<message xml:lang='de' xml:lang='de'/>".to_owned(),
        format!("<message {twice}/>"),
        format!("<message><a {twice}/></message>"),
        format!("<r {twice}/>"),
    ] {
        earns(breach(input), Misbehaved::DuplicateAttribute, "not-well-formed");
    }
    earns(at_start(format!("<s {twice}>")), Misbehaved::DuplicateAttribute, "not-well-formed");
}

#[test]
fn prefixes_are_bound() {
    for input in [
        "<p:message/>",
        "<message p:a=''/>",
        "<message><p:a/></message>",
        "<message><a p:b=''/></message>",
        "<message><a xmlns:p='u'/><p:a/></message>",
        "<r p:a=''/>",
        "<xmlns:a/>",
        "<XML:a/>",
        "<xml:a/>",
        "<message><xml:a/></message>",
    ] {
        earns(breach(input), Misbehaved::UnboundPrefix, "not-well-formed");
    }
    earns(at_start("<stream:stream>"), Misbehaved::UnboundPrefix, "not-well-formed");
    earns(at_start("<stream p:a=''>"), Misbehaved::UnboundPrefix, "not-well-formed");
}

/// RFC 6120 §4.8.5.
#[test]
fn content_has_no_prefix() {
    for input in [
        "<c:message xmlns:c='jabber:client'/>",
        "<c:iq xmlns:c='jabber:client' id='1' type='get'/>",
        "<message><c:body xmlns:c='jabber:client'/></message>",
        "<message><body><c:i xmlns:c='jabber:server'/></body></message>",
    ] {
        earns(breach(input), Misbehaved::PrefixedContent, "bad-namespace-prefix");
    }
}

/// XML names §3, §5.
#[test]
fn reserved_prefixes_stay_what_they_are() {
    for declaration in [
        "xmlns:p=''",
        "xmlns:xmlns='u'",
        "xmlns:xmlns='http://www.w3.org/2000/xmlns/'",
        "xmlns:xml='u'",
        "xmlns='http://www.w3.org/XML/1998/namespace'",
        "xmlns:p='http://www.w3.org/XML/1998/namespace'",
        "xmlns='http://www.w3.org/2000/xmlns/'",
        "xmlns:p='http://www.w3.org/2000&#x2F;xmlns/'",
    ] {
        earns(breach(format!("<message {declaration}/>")), Misbehaved::Declaration, "not-well-formed");
        earns(at_start(format!("<s {declaration}>")), Misbehaved::Declaration, "not-well-formed");
    }
    assert_eq!(breach("<message xmlns:xml='http://www.w3.org/XML/1998/namespace'/>"), None);
}

#[test]
fn end_tags_match() {
    for input in [
        "</message>",
        "<message></iq>",
        "<message><a></b></message>",
        "<message></MESSAGE>",
        "<message></ message>",
        "<message></message a=''>",
        "<message></>",
        "<message xmlns:p='jabber:client'></p:message>",
        "</stream>",
    ] {
        earns(breach(input), Misbehaved::UnmatchedEnd, "not-well-formed");
    }
    earns(at_start("</stream:stream>"), Misbehaved::UnmatchedEnd, "not-well-formed");
}

/// XML 1.0 §2.8.
#[test]
fn the_declaration_is_right_and_first() {
    for declaration in [
        "<?xml ?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml version='1.1'?>",
        "<?xml version='2.0'?>",
        "<?xml version=1.0?>",
        "<?xml version='1.0' standalone='maybe'?>",
        "<?xml version='1.0' x='y'?>",
        "<?xml version='1.0' version='1.0'?>",
        "<?xml encoding='UTF-8' version='1.0'?>",
        "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>",
        "<?xml version='1.0'/?>",
        "<?xml version='1.0' xmlns:a='b'?>",
        "<?xml a:version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
    ] {
        earns(at_start(declaration), Misbehaved::XmlDeclaration, "not-well-formed");
    }
    earns(breach("<?xml version='1.0'?>"), Misbehaved::XmlDeclaration, "not-well-formed");
    earns(breach("<message><?xml version='1.0'?></message>"), Misbehaved::XmlDeclaration, "not-well-formed");
}

/// RFC 6120 §11.1.
#[test]
fn restricted_xml_is_refused() {
    for (xml, expected) in [
        ("<!-- c -->", Misbehaved::Comment),
        ("<!-", Misbehaved::Comment),
        ("<?php echo ?>", Misbehaved::ProcessingInstruction),
        ("<?xml-stylesheet href='a'?>", Misbehaved::ProcessingInstruction),
        ("<?XML version='1.0'?>", Misbehaved::ProcessingInstruction),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", Misbehaved::Doctype),
        ("<!ELEMENT a ANY>", Misbehaved::Doctype),
    ] {
        for input in [xml.to_owned(), format!("<message>{xml}</message>")] {
            earns(breach(input), expected, "restricted-xml");
        }
        earns(at_start(xml), expected, "restricted-xml");
        earns(at_start(format!("<?xml version='1.0'?>{xml}")), expected, "restricted-xml");
    }
    for entity in ["&nbsp;", "&AMP;", "&lol9;", "&é;"] {
        earns(
            breach(format!("<message><body>{entity}</body></message>")),
            Misbehaved::EntityReference,
            "restricted-xml",
        );
        earns(breach(format!("<message id='{entity}'/>")), Misbehaved::EntityReference, "restricted-xml");
    }
}

#[test]
fn references_are_well_formed() {
    for reference in [
        "&",
        "&;",
        "& amp;",
        "&amp",
        "&#;",
        "&#x;",
        "&#X41;",
        "&#+65;",
        "&#-1;",
        "&#6a;",
        "&#xG;",
        "&#99999999999;",
        "&a b;",
    ] {
        let expected = Misbehaved::Reference;
        earns(breach(format!("<message><body>{reference}</body></message>")), expected, "not-well-formed");
        earns(breach(format!("<message id='{reference}'/>")), expected, "not-well-formed");
        earns(breach(format!("<message x='{reference}'/>")), expected, "not-well-formed");
    }
}

#[test]
fn text_stands_inside_of_stanzas() {
    for input in ["a", "  a", "<message/>a", "\u{FEFF}", "&#32;", "<![CDATA[ ]]>", "\0", "]]>", "\u{A0}"] {
        earns(breach(input), Misbehaved::LooseText, "bad-format");
    }
    // bytes are judged where they stand, not by what would have followed
    earns(breach(b"\xE9"), Misbehaved::LooseText, "bad-format");
    // RFC 6120 §11.6: U+FEFF is not a byte order mark
    for input in ["a", " a", "\u{FEFF}<stream>", "<?xml version='1.0'?>a", "<![CDATA[]]>", "&#32;"] {
        earns(at_start(input), Misbehaved::EarlyText, "not-well-formed");
    }
}

#[test]
fn nothing_follows_the_end() {
    for input in
        ["<message/>", "a", "<!-- -->", "</stream:stream>", "<?xml version='1.0'?>", "<", "<![CDATA[]]>"]
    {
        let mut framer = client();
        assert_eq!(frames(&mut framer, format!("{HEADER}</stream:stream> \r\n")).pop(), Some(Frame::Close));
        earns(read(&mut framer, input).1.err(), Misbehaved::AfterClose, "not-well-formed");
    }
}

#[test]
fn limits_are_policy() {
    for misbehaved in [
        Misbehaved::TooManyBytes(1),
        Misbehaved::TooManyBytesWritten(1),
        Misbehaved::TooManyElements(1),
        Misbehaved::TooDeep(1),
        Misbehaved::TooManyAttributes(1),
        Misbehaved::TooManyDeclarations(1),
    ] {
        assert_eq!(StreamCondition::from(misbehaved), StreamCondition::PolicyViolation);
    }
}

/// What was wrong once stays wrong, whatever follows: a peer cannot hide behind its own error.
#[test]
fn a_breach_is_final_until_the_restart() {
    let mut framer = opened();
    let (before, end) = read(&mut framer, "<message id='1'/><!--<message id='2'/>");
    assert_eq!((before.len(), end), (1, Err(Misbehaved::Comment)));
    for input in ["", "--><message id='3'/>", HEADER] {
        assert_eq!(read(&mut framer, input), (vec![], Err(Misbehaved::Comment)));
    }
    assert!(!framer.has_kept());
    assert_eq!(framer.discard(), 0);
    framer.restart();
    assert_eq!(frames(&mut framer, format!("{HEADER}<message/>")).len(), 2);
}
