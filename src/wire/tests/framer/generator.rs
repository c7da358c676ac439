//! Documents from a stream of choices: mostly right, now and then wrong in one of the ways XML can be wrong.

/// Choices made elsewhere (by proptest, which can take them back one by one); all zero when they are used up.
#[derive(Debug)]
pub(crate) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    fn next(&mut self) -> usize {
        self.0.next().copied().unwrap_or(0).into()
    }

    fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.next() % options.len()]
    }

    /// One of the right ones, or, rarely, of the wrong ones.
    fn mostly<T: Copy>(&mut self, right: &[T], wrong: &[T]) -> T {
        if self.next() > 252 { self.of(wrong) } else { self.of(right) }
    }
}

const SPACES: &[&str] = &[" ", "\n", "\t ", "\r\n"];
const NAMES: &[&str] = &["a", "b", "body", "message", "x-y.1", "_u", "é", "名", "type", "id"];
const BAD_NAMES: &[&str] =
    &["", "1a", "-x", "a:b", ":a", "a:", "a\u{D7}", "a b", "a\0", "<", "&amp;", "xmlns", "a\u{300}:b"];
const PREFIXES: &[&str] = &["", "", "p:", "q:", "stream:"];
const BAD_PREFIXES: &[&str] = &["c:", "u:", "xml:", "xmlns:", "1:", "p:q:"];
const NAMESPACES: &[&str] = &[
    "jabber:client",
    "jabber:server",
    "jabber:component:accept",
    "urn:x",
    "urn:y",
    "u&amp;v",
    "u&amp;amp;v",
    " u\t",
    "http://etherx.jabber.org/streams",
    "n&#39;s",
];
const BAD_NAMESPACES: &[&str] = &[
    "",
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
    "<",
    "&lol;",
    "\u{1}",
    "http://www.w3.org/XML/1998/name&#115;pace",
];
const CHARACTERS: &[&str] = &[
    "hi",
    "é🤷",
    "&amp;",
    "&lt;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&#65;",
    "&#x10FFFF;",
    "&#13;",
    "&#xA;",
    "&#9;",
    "\r\n",
    "\r",
    "\n",
    "\t",
    "]]",
    ">",
    "'",
    "\"",
    "\u{85}",
    "\u{FEFF}",
    "\u{FFFD}",
    "ï",
    " ",
];
const BAD_CHARACTERS: &[&str] = &[
    "\0",
    "\u{1}",
    "\u{1F}",
    "\u{FFFE}",
    "\u{FFFF}",
    "&#0;",
    "&#xD800;",
    "&#xFFFF;",
    "&#1114112;",
    "&nbsp;",
    "&",
    "&;",
    "&#;",
    "&#x;",
    "&#X41;",
    "& amp;",
    "&#6a;",
    "]]>",
    "<!-- -->",
    "<?pi?>",
    "<!DOCTYPE a>",
    "<![CDATA",
    "<![cdata[]]>",
    "<",
    "<>",
    "</a>",
    "&#+65;",
];
const SECTIONS: &[&str] = &[
    "<![CDATA[]]>",
    "<![CDATA[<&>]]>",
    "<![CDATA[]]]>",
    "<![CDATA[a\r\n]]]]><![CDATA[>]]>",
    "<![CDATA[&lt;]]>",
];
const ADDRESSES: &[&str] = &["a@b", "a@b/c", "b", "é@b/🤷", "A@B/C", "b/a'&quot;"];
const BAD_ADDRESSES: &[&str] = &["", "@", "a@", "/", "a b@c"];
const TYPES: &[&str] = &[
    "get",
    "set",
    "result",
    "error",
    "chat",
    "normal",
    "groupchat",
    "headline",
    "unavailable",
    "probe",
    "x",
    "",
];

/// A stream, open or closed, perhaps cut off.
pub(crate) fn document(choices: &mut Choices<'_>) -> String {
    let mut out = String::new();
    out.push_str(choices.of(&["", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding='utf-8' ?>\n"]));
    out.push_str(choices.mostly(
        &[""],
        &["\u{FEFF}", "x", "<!-- -->", "<?xml version='1.1'?>", "<?xml version='1.0' encoding='x'?>"],
    ));
    out.push_str("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:c='jabber:client'");
    if choices.next() % 4 == 1 {
        attributes(choices, &mut out);
    }
    out.push('>');
    for _ in 0..choices.next() % 4 {
        out.push_str(choices.mostly(&["", "", " ", "\r\n"], &["x", "\u{1}", "<!-- -->", "</a>", "é"]));
        first_level(choices, &mut out);
    }
    out.push_str(choices.of(&["", "", "", "</stream:stream>", "</stream:stream> ", "</stream:stream \n>"]));
    out.push_str(choices.mostly(&[""], &["<a/>", "x", "</a>", "<!-- -->", "<message"]));
    out
}

fn first_level(choices: &mut Choices<'_>, out: &mut String) {
    let name = choices
        .mostly(&["message", "message", "iq", "presence", "r", "stream:error"], &["c:message", "p:message"]);
    out.push('<');
    out.push_str(name);
    let declaration = choices.of(&[
        "",
        "",
        "",
        " xmlns='jabber:client'",
        " xmlns:p='jabber:client'",
        " xmlns='jabber:server'",
    ]);
    out.push_str(declaration);
    for address in ["to", "from"] {
        if choices.next() % 2 == 1 {
            attribute(address, choices.mostly(ADDRESSES, BAD_ADDRESSES), out);
        }
    }
    attribute("id", choices.of(&["1", "&lt;&#x27;", "é"]), out);
    attribute("type", choices.of(TYPES), out);
    attributes(choices, out);
    content(choices, out, name, 0);
}

fn attribute(name: &str, value: &str, out: &mut String) {
    for part in [" ", name, "='", value, "'"] {
        out.push_str(part);
    }
}

fn element(choices: &mut Choices<'_>, out: &mut String, depth: usize) {
    let prefix = choices.mostly(PREFIXES, BAD_PREFIXES);
    let name = format!("{prefix}{}", choices.mostly(NAMES, BAD_NAMES));
    out.push('<');
    out.push_str(&name);
    attributes(choices, out);
    content(choices, out, &name, depth);
}

fn attributes(choices: &mut Choices<'_>, out: &mut String) {
    for _ in 0..choices.next() % 4 {
        out.push_str(choices.mostly(SPACES, &["", "/", "="]));
        match choices.next() % 4 {
            0 => {
                out.push_str(choices.mostly(
                    &["xmlns", "xmlns:p", "xmlns:q"],
                    &["xmlns:xml", "xmlns:xmlns", "xmlns:", "xmlns:1"],
                ));
                value(choices, out, choices_namespace);
            }
            1 => {
                out.push_str(choices.of(&["xml:lang", "xml:space", "p:a", "q:a", "q:b"]));
                value(choices, out, characters);
            }
            _ => {
                out.push_str(choices.mostly(NAMES, BAD_NAMES));
                value(choices, out, characters);
            }
        }
    }
}

fn value(choices: &mut Choices<'_>, out: &mut String, inside: fn(&mut Choices<'_>, &mut String)) {
    out.push_str(choices.mostly(&["=", "=", " = ", "\n="], &["", "=="]));
    let quote = choices.of(&["'", "\""]);
    out.push_str(choices.mostly(&[quote], &["", "'"]));
    let mut raw = String::new();
    inside(choices, &mut raw);
    // mostly the other quote, but sometimes the end comes early
    out.push_str(&if choices.next() > 250 { raw } else { raw.replace(quote, "") });
    out.push_str(choices.mostly(&[quote], &["", "\""]));
}

fn choices_namespace(choices: &mut Choices<'_>, out: &mut String) {
    out.push_str(choices.mostly(NAMESPACES, BAD_NAMESPACES));
}

fn characters(choices: &mut Choices<'_>, out: &mut String) {
    for _ in 0..choices.next() % 4 {
        out.push_str(choices.mostly(CHARACTERS, BAD_CHARACTERS));
    }
}

fn content(choices: &mut Choices<'_>, out: &mut String, name: &str, depth: usize) {
    out.push_str(choices.mostly(&["", "", " "], &["/", "<", "'"]));
    if choices.next() % 3 == 2 {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for _ in 0..choices.next() % 4 {
        match choices.next() % 4 {
            0 => characters(choices, out),
            1 => out.push_str(choices.of(SECTIONS)),
            _ if depth < 6 => element(choices, out, depth + 1),
            _ => {}
        }
    }
    out.push_str("</");
    out.push_str(choices.mostly(&[name], &["", "a", "p:a", "stream:stream", " "]));
    out.push_str(choices.mostly(&["", "", "\n"], &[" a=''", "/"]));
    out.push('>');
}
