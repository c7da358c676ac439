//! Limits, at the byte.

use hearth_wire::{Framer, FramerLimits, Misbehaved, ns};

use crate::support::{HEADER, LIMITS, frames, opened_with, read};

fn breach(limits: FramerLimits, input: &str) -> Option<Misbehaved> {
    let whole = read(&mut opened_with(HEADER, limits), input).1.err();
    let mut framer = opened_with(HEADER, limits);
    let stepwise = input.as_bytes().iter().find_map(|byte| read(&mut framer, [*byte]).1.err());
    assert_eq!(whole, stepwise, "{input}");
    whole
}

#[test]
fn an_element_may_have_so_many_bytes_and_no_more() {
    for input in [
        "<message/>",
        "<message></message>",
        "<message><body>text</body></message >",
        "<message><![CDATA[text]]></message>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ] {
        let max = input.len() as u32;
        let limits = FramerLimits { element_bytes_max: max, ..LIMITS };
        assert_eq!(breach(limits, &format!(" {input}\n{input}{input} ")), None);
        for less in 1..max {
            let limits = FramerLimits { element_bytes_max: less, ..LIMITS };
            assert_eq!(breach(limits, input), Some(Misbehaved::TooManyBytes(less)), "{input} in {less}");
        }
    }
}

/// An element without an end must not be waited for.
#[test]
fn an_unfinished_element_has_the_same_limit() {
    let limits = FramerLimits { element_bytes_max: 30, ..LIMITS };
    for input in
        ["<message", "<message><body>", "<message id='", "<message><![CDATA[", "<message></message", "<"]
    {
        let fits = format!("{input}{}", "a".repeat(30 - input.len()));
        assert_eq!(breach(limits, &fits), None, "{fits}");
        assert_eq!(breach(limits, &format!("{fits}a")), Some(Misbehaved::TooManyBytes(30)), "{fits}");
    }
}

/// RFC 6120 §13.12 asks for room of 10,000 bytes; the declaration is not the header's burden.
#[test]
fn a_header_and_a_declaration_have_the_limit_each() {
    let declaration = "<?xml version='1.0'?>";
    let limits = FramerLimits { element_bytes_max: HEADER.len() as u32, ..LIMITS };
    let document = format!("{declaration}{HEADER}");
    assert_eq!(frames(&mut Framer::new(ns::CLIENT, limits), &document).len(), 1);
    let limits = FramerLimits { element_bytes_max: HEADER.len() as u32 - 1, ..LIMITS };
    let (_, end) = read(&mut Framer::new(ns::CLIENT, limits), &document);
    assert_eq!(end, Err(Misbehaved::TooManyBytes(limits.element_bytes_max)));
    let limits = FramerLimits { element_bytes_max: declaration.len() as u32 - 1, ..LIMITS };
    let (_, end) = read(&mut Framer::new(ns::CLIENT, limits), &document);
    assert_eq!(end, Err(Misbehaved::TooManyBytes(limits.element_bytes_max)));
}

#[test]
fn an_element_may_hold_so_many_elements() {
    let limits = FramerLimits { elements_max: 3, ..LIMITS };
    let fits = "<message><a/><b></b></message>";
    assert_eq!(breach(limits, &format!("{fits}{fits}")), None);
    assert_eq!(breach(limits, "<message><a/><b><c/>"), Some(Misbehaved::TooManyElements(3)));
}

#[test]
fn tags_may_nest_so_deep() {
    // the stream's own tag counts
    let limits = FramerLimits { depth_max: 4, ..LIMITS };
    assert_eq!(breach(limits, "<message><a><b/></a><c><d></d></c></message>"), None);
    assert_eq!(breach(limits, "<message><a><b><c/>"), Some(Misbehaved::TooDeep(4)));
    assert_eq!(breach(limits, "<message><a><b><c>"), Some(Misbehaved::TooDeep(4)));
    assert_eq!(breach(FramerLimits { depth_max: 2, ..LIMITS }, "<r/><r>text</r>"), None);
    assert_eq!(breach(FramerLimits { depth_max: 1, ..LIMITS }, "<r/>"), Some(Misbehaved::TooDeep(1)));
    assert_eq!(breach(FramerLimits { elements_max: 1, ..LIMITS }, "<r/><r>text</r>"), None);
    assert_eq!(
        breach(FramerLimits { elements_max: 0, ..LIMITS }, "<r/>"),
        Some(Misbehaved::TooManyElements(0))
    );
}

#[test]
fn an_element_may_have_so_many_attributes() {
    let tag = |name: &str, count: usize| {
        let attributes: String = (0..count).map(|n| format!(" a{n}=''")).collect();
        format!("<{name}{attributes}/>")
    };
    let many = Some(Misbehaved::TooManyAttributes(48));
    assert_eq!(breach(LIMITS, &tag("message", 48)), None);
    assert_eq!(breach(LIMITS, &tag("message", 49)), many);
    assert_eq!(breach(LIMITS, &tag("message xmlns:p='u'", 41).replace(" a", " p:a")), None);
    assert_eq!(breach(LIMITS, &tag("message xmlns:p='u'", 42).replace(" a", " p:a")), many);
    assert_eq!(breach(LIMITS, &format!("<message>{}</message>", tag("a", 48))), None);
    assert_eq!(breach(LIMITS, &format!("<message>{}</message>", tag("a", 49))), many);
    // declarations count, also those that only our form needs
    assert_eq!(breach(LIMITS, &format!("<message>{}</message>", tag("a xmlns='u'", 47))), None);
    assert_eq!(breach(LIMITS, &format!("<message>{}</message>", tag("a xmlns='u'", 48))), many);
    assert_eq!(breach(LIMITS, &format!("<message xmlns:p='u'>{}</message>", tag("p:a", 47))), None);
    assert_eq!(breach(LIMITS, &format!("<message xmlns:p='u'>{}</message>", tag("p:a", 48))), many);
}

/// Each prefix is looked for among all declarations around it.
#[test]
fn so_many_declarations_may_be_in_force() {
    let tag = |count: usize| {
        let declarations: String = (0..count).map(|n| format!(" xmlns:p{n}='u'")).collect();
        format!("<a{declarations}>")
    };
    let nested = |count: usize| format!("<message>{}{}", tag(40).repeat(6), tag(count));
    assert_eq!(breach(LIMITS, &nested(16)), None);
    assert_eq!(breach(LIMITS, &nested(17)), Some(Misbehaved::TooManyDeclarations(256)));
    // those of closed elements are not
    assert_eq!(breach(LIMITS, &format!("<message>{}", format!("{}</a>", tag(40)).repeat(20))), None);
}

/// A namespace declared once cannot be had again and again for the price of a prefix.
#[test]
fn the_written_form_is_limited_too() {
    let header = HEADER.replace("xmlns=", &format!("xmlns:p='{}' xmlns=", "n".repeat(1_000)));
    for once in ["<message><p:a/></message>", "<message p:a=''/>", "<message><a p:a='' p:b=''/></message>"] {
        assert_eq!(read(&mut opened_with(&header, LIMITS), once.repeat(9)).1, Ok(()), "{once}");
    }
    for twice in
        ["<message><p:a/><p:a/></message>", "<message p:a=''><p:a/></message>", "<message><a p:a=''/><p:a/>"]
    {
        let written = twice.rfind("<p:a/>").unwrap() + "<p:a/>".len();
        let too_much = Err(Misbehaved::TooManyBytesWritten(1_024 + 4 * written as u32));
        assert_eq!(read(&mut opened_with(&header, LIMITS), twice).1, too_much, "{twice}");
        let more = FramerLimits { expansion_bytes_max: 2_048, ..LIMITS };
        assert_eq!(read(&mut opened_with(&header, more), twice).1, Ok(()), "{twice}");
    }
    // escaping is not the sender's fault
    let escaped = format!("<message><body>{}</body></message>", ">".repeat(100_000));
    assert_eq!(read(&mut opened_with(&header, LIMITS), escaped).1, Ok(()));
}

#[test]
fn limits_can_be_raised_and_lowered_amid_an_element() {
    let small = FramerLimits { element_bytes_max: 40, ..LIMITS };
    let mut framer = opened_with(HEADER, small);
    frames(&mut framer, "<message><body>0123456789");
    framer.set_limits(LIMITS);
    assert_eq!(frames(&mut framer, "0123456789</body></message>").len(), 1);
    frames(&mut framer, format!("<message><body>{}", "0123456789".repeat(9)));
    framer.set_limits(small);
    assert_eq!(read(&mut framer, "<").1, Err(Misbehaved::TooManyBytes(40)));
}
