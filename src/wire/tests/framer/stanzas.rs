//! Stanzas and nonzas: what is read from them, and in which form they leave.

use hearth_wire::framer::read_stanza;
use hearth_wire::{
    Flaw, IqType, Jid, Kind, MessageType, Payload, PresenceType, StanzaCondition, StanzaError, ns,
};

use crate::support::{HEADER, LIMITS, canonical, flawed, frames, nonza, opened_with, stanza, written};

#[test]
fn a_head_is_read_and_written() {
    let source = "<message from='romeo@example.net/orchard' to='juliet@example.com' id='a&amp;&apos;b' type='chat' \
                  xml:lang='de'><body>Hallo</body></message>";
    let message = stanza(source);
    assert_eq!(message.kind, Kind::Message(MessageType::Chat));
    assert_eq!(message.id.as_deref(), Some("a&'b"));
    assert_eq!(message.from, Some(Jid::parse("romeo@example.net/orchard").unwrap()));
    assert_eq!(message.to, Some(Jid::parse("juliet@example.com").unwrap()));
    assert_eq!(message.lang.as_deref(), Some("de"));
    assert_eq!(written(&message), source);
    // what RFC 6120 §8.1 does not define is not passed on, and addresses leave as they are compared
    let other = stanza("<message foo='bar' to='Juliet@EXAMPLE.com' xml:space='preserve'/>");
    assert_eq!(written(&other), "<message to='juliet@example.com'/>");
}

/// RFC 6120 §8.4.
#[test]
fn attributes_of_other_namespaces_are_passed_on() {
    let message = stanza(
        "<message xmlns:x='urn:x' xmlns:y='urn:y' x:to='a&amp;b' to='a@b' y:to='' x:l='1'><a x:k='' xmlns='urn:a'/></message>",
    );
    assert_eq!(
        written(&message),
        "<message to='a@b' xmlns:n0='urn:x' n0:to='a&amp;b' xmlns:n1='urn:y' n1:to='' n0:l='1'>\
         <a xmlns='urn:a' xmlns:n0='urn:x' n0:k=''/></message>"
    );
    assert_eq!(stanza(&written(&message)), message);
}

#[test]
fn a_stanza_is_written_for_whoever_gets_it() {
    let message = stanza("<message to='a@b' type='normal'/>");
    let mut out = String::new();
    message.write(&mut out, Some(&Jid::parse("c@d/e").unwrap()), Some(ns::CLIENT));
    assert_eq!(out, "<message xmlns='jabber:client' to='c@d/e'/>");
}

#[test]
fn types_are_known() {
    for (xml, kind) in [
        ("<message type='chat'/>", Kind::Message(MessageType::Chat)),
        ("<message type='headline'/>", Kind::Message(MessageType::Headline)),
        ("<message/>", Kind::Message(MessageType::Normal)),
        // RFC 6121 §5.2.2
        ("<message type='shout'/>", Kind::Message(MessageType::Normal)),
        ("<message type=''/>", Kind::Message(MessageType::Normal)),
        ("<presence/>", Kind::Presence(PresenceType::Available)),
        ("<presence type='unsubscribed'/>", Kind::Presence(PresenceType::Unsubscribed)),
        ("<iq id='1' type='result'/>", Kind::Iq(IqType::Result)),
        ("<iq id='1' type='error'><a/><error/></iq>", Kind::Iq(IqType::Error)),
    ] {
        assert_eq!(stanza(xml).kind, kind, "{xml}");
    }
}

#[test]
fn flaws_are_told() {
    for (xml, flaw) in [
        ("<message to='@'/>", Flaw::To),
        ("<message to=''/>", Flaw::To),
        ("<message from='a b@c'/>", Flaw::From),
        ("<message from='@' to='@'/>", Flaw::From),
        ("<message to='@' from='@'/>", Flaw::From),
        ("<presence type='available'/>", Flaw::Type),
        ("<presence type=''/>", Flaw::Type),
        ("<presence type='gone' to='@'/>", Flaw::To),
        ("<iq id='1'><a/></iq>", Flaw::Type),
        ("<iq id='1' type='query'><a/></iq>", Flaw::Type),
        ("<iq type='get'><a/></iq>", Flaw::NoId),
        ("<iq id='' type='set'><a/></iq>", Flaw::NoId),
        ("<iq type='result'/>", Flaw::NoId),
        ("<iq id='1' type='get'/>", Flaw::Content),
        ("<iq id='1' type='get'>text</iq>", Flaw::Content),
        ("<iq id='1' type='set'><a/><b/></iq>", Flaw::Content),
        ("<iq id='1' type='result'><a/><b/></iq>", Flaw::Content),
    ] {
        assert_eq!(flawed(xml).1, Some(flaw), "{xml}");
    }
    assert_eq!(Flaw::To.condition(), StanzaCondition::JidMalformed);
    assert_eq!(Flaw::NoId.condition(), StanzaCondition::BadRequest);
}

#[test]
fn an_error_carries_what_it_answers() {
    let message = stanza("<message from='a@b/c' to='d@e' id='1'><body xml:lang='en'>hi</body></message>");
    let error = message.bounce(&StanzaError::new(StanzaCondition::ServiceUnavailable)).unwrap();
    assert_eq!(
        written(&error),
        "<message from='d@e' to='a@b/c' id='1' type='error'><body xml:lang='en'>hi</body><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    );
    assert_eq!(stanza(&written(&error)), error);
    assert_eq!(error.bounce(&StanzaError::new(StanzaCondition::ServiceUnavailable)), None);
}

#[test]
fn character_data_is_canonical() {
    for (content, written) in [
        ("<body>a &amp; b &#65;&#x42; > 'q' \"d\"</body>", "<body>a &amp; b AB &gt; 'q' \"d\"</body>"),
        ("<body>1\r\n2\r3\n\r\n</body>", "<body>1\n2\n3\n\n</body>"),
        ("<body>&#13;&#10;&#9;</body>", "<body>&#xD;\n\t</body>"),
        ("<body>é🤷\u{FEFF}\u{85}\u{7F}</body>", "<body>é🤷\u{FEFF}\u{85}\u{7F}</body>"),
        ("<body>a<![CDATA[<b>&amp;]]]]><![CDATA[>]]>c</body>", "<body>a&lt;b&gt;&amp;amp;]]&gt;c</body>"),
        ("<body><![CDATA[]]></body>", "<body/>"),
        ("<body>]]&gt;</body>", "<body>]]&gt;</body>"),
        ("<body></body>", "<body/>"),
        ("<body />\n<a  b = \"1'\"\n\tc='\"'/>", "<body/>\n<a b='1&apos;' c='\"'/>"),
        ("<a b='1\t2\r\n3\n4&#9;&#10;&#13;&lt;>'/>", "<a b='1 2 3 4&#x9;&#xA;&#xD;&lt;&gt;'/>"),
    ] {
        assert_eq!(canonical(content), written, "{content}");
        assert_eq!(canonical(written), written);
    }
}

#[test]
fn namespaces_are_defaults_and_attributes_have_our_prefixes() {
    for (content, written) in [
        ("<x xmlns='urn:x'><y/></x>", "<x xmlns='urn:x'><y/></x>"),
        ("<p:x xmlns:p='urn:x'><p:y/></p:x>", "<x xmlns='urn:x'><y/></x>"),
        (
            "<p:x xmlns:p='urn:x' xmlns='urn:y'><y/><p:z/></p:x>",
            "<x xmlns='urn:x'><y xmlns='urn:y'/><z/></x>",
        ),
        ("<x xmlns='urn:x'><x xmlns='urn:x'/></x>", "<x xmlns='urn:x'><x/></x>"),
        ("<x xmlns=''><y/><z xmlns='jabber:client'/></x>", "<x xmlns=''><y/><z xmlns='jabber:client'/></x>"),
        ("<x xmlns:p='urn:p' xmlns:q='urn:p'/>", "<x/>"),
        (
            "<x xmlns='urn:x'><c:i xmlns:c='jabber:client'/></x>",
            "<x xmlns='urn:x'><i xmlns='jabber:client'/></x>",
        ),
        (
            "<x xmlns:p='urn:p' p:k='1' xmlns:q='urn:q' q:k='2' k='3' p:l='4'/>",
            "<x xmlns:n0='urn:p' n0:k='1' xmlns:n1='urn:q' n1:k='2' k='3' n0:l='4'/>",
        ),
        (
            "<x xml:lang='de' xml:space='preserve' xml:id='1'/>",
            "<x xml:lang='de' xml:space='preserve' xml:id='1'/>",
        ),
        // the default namespace is not that of attributes
        (
            "<x xmlns='urn:p' xmlns:p='urn:p' p:k='1' k='2'/>",
            "<x xmlns='urn:p' xmlns:n0='urn:p' n0:k='1' k='2'/>",
        ),
        (
            "<x xmlns='u&amp;v'><y xmlns='u&amp;amp;v'/></x>",
            "<x xmlns='u&amp;v'><y xmlns='u&amp;amp;v'/></x>",
        ),
        ("<x xmlns='urn:ex:&apos;&#10;'/>", "<x xmlns='urn:ex:&apos;&#xA;'/>"),
    ] {
        assert_eq!(canonical(content), written, "{content}");
        assert_eq!(canonical(written), written);
    }
}

#[test]
fn prefixes_of_the_root_hold_in_stanzas() {
    let header = HEADER.replace("xmlns=", "xmlns:p='urn:p' xmlns:c='jabber:client' xmlns=");
    let mut framer = opened_with(&header, LIMITS);
    let frames = frames(&mut framer, "<message><p:x p:k='1'><c:y/></p:x><stream:z/></message>");
    let [hearth_wire::Frame::Stanza(message, None)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!(
        message.payload.as_str(),
        "<x xmlns='urn:p' xmlns:n0='urn:p' n0:k='1'><y xmlns='jabber:client'/></x>\
         <z xmlns='http://etherx.jabber.org/streams'/>"
    );
}

/// XEP-0297: a stanza inside a stanza keeps its namespace, and what surrounds it keeps its own.
#[test]
fn a_forwarded_stanza_keeps_its_namespace() {
    let content = "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='s'/>\
                   <message xmlns='jabber:client'><body>b</body><x xmlns='urn:x'/></message></forwarded><body>a</body>";
    assert_eq!(canonical(content), content);
    let payload = &stanza(&format!("<message>{content}</message>")).payload;
    let forwarded = payload.find("forwarded", "urn:xmpp:forward:0").unwrap();
    let tree = payload.element(forwarded, ns::CLIENT).unwrap();
    assert_eq!(
        tree.get_child("message", ns::CLIENT).unwrap().get_child("body", ns::CLIENT).unwrap().text(),
        "b"
    );
    assert_eq!(payload.text(payload.find_content("body").unwrap()), "a");
}

/// A body in another stream's content namespace would be nothing to us and a body to whom it is delivered over such a
/// stream.
#[test]
fn the_content_namespaces_of_all_streams_are_one() {
    for namespace in ["jabber:client", "jabber:server", "jabber:component:accept"] {
        let content = format!("<body xmlns='{namespace}'>b<i/></body>");
        let payload = stanza(&format!("<message>{content}</message>")).payload;
        assert_eq!(payload.as_str(), "<body>b<i/></body>");
        assert!(payload.find_content("body").is_some());
        // but not inside of what is foreign
        let wrapped = format!("<x xmlns='urn:x'>{content}</x>");
        assert_eq!(canonical(&wrapped), wrapped);
        // and not on the first level, where it names the stream it belongs to
        let foreign = format!("<message xmlns='{namespace}'/>");
        if namespace != ns::CLIENT {
            assert!(nonza(&foreign).is("message", namespace));
        }
    }
    assert!(nonza("<message xmlns=''/>").is("message", ""));
}

#[test]
fn what_is_no_stanza_is_told_with_its_content() {
    let auth = nonza(
        "<a:auth xmlns:a='urn:a' mechanism='PLAIN' a:x='1' xml:lang='de' k='a&amp;b'>AGp1&lt;<a:b/><c xmlns='urn:c'/>\
         <d/></a:auth>",
    );
    assert!(auth.is("auth", "urn:a"));
    assert_eq!((auth.attr("mechanism"), auth.attr("k"), auth.attr("x")), (Some("PLAIN"), Some("a&b"), None));
    assert_eq!(
        auth.payload.as_str(),
        "AGp1&lt;<b xmlns='urn:a'/><c xmlns='urn:c'/><d xmlns='jabber:client'/>"
    );
    assert_eq!(auth.text(), "");
    assert_eq!(nonza("<response xmlns='urn:a'>a&amp;<![CDATA[=]]></response>").text(), "a&=");
    assert!(nonza("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").payload.as_str().is_empty());
}

/// Trees made by handlers speak `jabber:client`; in a stanza that is the content namespace of whichever stream.
#[test]
fn a_tree_becomes_content() {
    let source = stanza(
        "<message><body a='1'>b<i/></body><x xmlns='urn:x'><body xmlns='jabber:client'/></x></message>",
    );
    for &child in source.payload.children() {
        let tree = source.payload.element(child, ns::CLIENT).unwrap();
        assert_eq!(Payload::from(&tree).as_str(), source.payload.raw(child));
    }
}

#[test]
fn a_stored_stanza_is_read_back() {
    let message = stanza(
        "<message from='a@b/c' to='d@e' id='1' xml:lang='de'><body>&amp;</body><x xmlns='urn:x'/></message>",
    );
    let mut stored = String::new();
    message.write(&mut stored, None, Some(ns::CLIENT));
    assert_eq!(read_stanza(&stored), Some(message));
    for wrong in [
        "",
        "<message/>",
        "<message xmlns='jabber:client'>",
        &format!("{stored}<message/>"),
        &format!("{stored}x"),
        "<iq xmlns='jabber:client' type='get'/>",
        "</>",
    ] {
        assert_eq!(read_stanza(wrong), None, "{wrong}");
    }
}
