//! Whole addresses: RFC 7622's own examples, properties that hold for any text, and the `jid` crate as judge.

use proptest::prelude::*;

use super::{BareJid, JID_BYTES_MAX, Jid, JidError, Part};

type Parts<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

/// RFC 7622 §3.5, tables 1 and 2, by their numbers.
#[test]
fn the_examples_of_rfc_7622() {
    use JidError::{Empty, ForbiddenCharacter, LeadingSpace};
    let table: [(u8, &str, Result<Parts<'_>, JidError>); 23] = [
        (1, "juliet@example.com", Ok((Some("juliet"), "example.com", None))),
        (2, "juliet@example.com/foo", Ok((Some("juliet"), "example.com", Some("foo")))),
        (3, "juliet@example.com/foo bar", Ok((Some("juliet"), "example.com", Some("foo bar")))),
        (4, "juliet@example.com/foo@bar", Ok((Some("juliet"), "example.com", Some("foo@bar")))),
        (5, "foo\\20bar@example.com", Ok((Some("foo\\20bar"), "example.com", None))),
        (6, "fussball@example.com", Ok((Some("fussball"), "example.com", None))),
        (7, "fu\u{DF}ball@example.com", Ok((Some("fu\u{DF}ball"), "example.com", None))),
        (8, "\u{3C0}@example.com", Ok((Some("\u{3C0}"), "example.com", None))),
        (9, "\u{3A3}@example.com/foo", Ok((Some("\u{3C3}"), "example.com", Some("foo")))),
        (10, "\u{3C3}@example.com/foo", Ok((Some("\u{3C3}"), "example.com", Some("foo")))),
        (11, "\u{3C2}@example.com/foo", Ok((Some("\u{3C2}"), "example.com", Some("foo")))),
        (12, "king@example.com/\u{265A}", Ok((Some("king"), "example.com", Some("\u{265A}")))),
        (13, "example.com", Ok((None, "example.com", None))),
        (14, "example.com/foobar", Ok((None, "example.com", Some("foobar")))),
        (15, "a.example.com/b@example.net", Ok((None, "a.example.com", Some("b@example.net")))),
        (16, "\"juliet\"@example.com", Err(ForbiddenCharacter(Part::Local, '"'))),
        (17, "foo bar@example.com", Err(ForbiddenCharacter(Part::Local, ' '))),
        (18, "juliet@example.com/ foo", Err(LeadingSpace)),
        (19, "@example.com/", Err(Empty(Part::Local))),
        (20, "henry\u{2163}@example.com", Err(ForbiddenCharacter(Part::Local, '\u{2173}'))),
        (21, "\u{265A}@example.com", Err(ForbiddenCharacter(Part::Local, '\u{265A}'))),
        (22, "juliet@", Err(Empty(Part::Domain))),
        (23, "/foobar", Err(Empty(Part::Domain))),
    ];
    for (number, text, want) in table {
        let got = Jid::parse(text);
        let parts = got.as_ref().map(|jid| (jid.local(), jid.domain(), jid.resource())).map_err(|e| *e);
        assert_eq!(parts, want, "example {number}");
    }
}

#[test]
fn separators_are_the_first_slash_and_the_first_at_before_it() {
    let jid = Jid::parse("r@example.net//@/").unwrap();
    assert_eq!((jid.local(), jid.domain(), jid.resource()), (Some("r"), "example.net", Some("/@/")));
    assert_eq!(Jid::parse("a@b@c"), Err(JidError::MalformedDomain));
    assert_eq!(Jid::parse("a@b/"), Err(JidError::Empty(Part::Resource)));
    assert_eq!(Jid::parse(""), Err(JidError::Empty(Part::Domain)));
    assert_eq!(Jid::parse("@"), Err(JidError::Empty(Part::Local)));
    assert_eq!(Jid::parse("/"), Err(JidError::Empty(Part::Domain)));
}

#[test]
fn every_kind_of_address_knows_what_it_is() {
    for (text, bare, full, domain) in [
        ("romeo@example.net", true, false, false),
        ("romeo@example.net/orchard", false, true, false),
        ("example.net", true, false, true),
        ("example.net/orchard", false, true, false),
    ] {
        let jid = Jid::parse(text).unwrap();
        assert_eq!((jid.is_bare(), jid.is_full(), jid.is_domain()), (bare, full, domain), "{text}");
        assert_eq!((jid.as_str(), format!("{jid}"), format!("{jid:?}")), (text, text.into(), text.into()));
        assert_eq!(jid.bare_str(), text.trim_end_matches("/orchard"));
        assert!(jid.eq_str(text) && jid == text && jid.eq_bare(&jid.to_bare()));
        assert_eq!(jid.to_domain().as_str(), "example.net");
    }
}

#[test]
fn all_spellings_of_an_address_are_equal() {
    let want = Jid::parse("bücher@bücher.example/Ω").unwrap();
    for text in [
        "BÜCHER@Bücher.Example./Ω",
        "bu\u{308}cher@xn--bcher-kva.example/\u{2126}",
        "ＢÜcher@BÜCHER。example/Ω",
    ] {
        assert_eq!(Jid::parse(text), Ok(want.clone()), "{text}");
    }
    assert_ne!(Jid::parse("bücher@bücher.example/ω"), Ok(want));
}

#[test]
fn a_resource_can_be_replaced() {
    let jid = Jid::parse("room@muc.example.net/Romeo").unwrap();
    assert_eq!(jid.with_resource("🤷🏽‍♀️").unwrap(), "room@muc.example.net/🤷🏽‍♀️");
    assert_eq!(jid.with_resource("a/b").unwrap().resource(), Some("a/b"));
    assert_eq!(jid.with_resource(""), Err(JidError::Empty(Part::Resource)));
    assert_eq!(jid.with_resource("a\nb"), Err(JidError::ForbiddenCharacter(Part::Resource, '\n')));
}

#[test]
fn limits_hold_to_the_byte() {
    let (local, resource) = ("l".repeat(1023), "r".repeat(1023));
    let label = "d".repeat(63);
    let domain = format!("{label}.{label}.{label}.{}", "d".repeat(61));
    let longest = format!("{local}@{domain}/{resource}");
    let jid = Jid::parse(&longest).unwrap();
    assert!(jid.as_str() == longest && longest.len() <= JID_BYTES_MAX);
    assert_eq!((jid.local(), jid.domain(), jid.resource()), (Some(&*local), &*domain, Some(&*resource)));
    assert_eq!(Jid::parse(&format!("l{longest}")), Err(JidError::TooLong(Part::Local)));
    assert_eq!(Jid::parse(&format!("{longest}r")), Err(JidError::TooLong(Part::Resource)));
    assert_eq!(Jid::parse(&format!("l@d{domain}")), Err(JidError::TooLong(Part::Domain)));
}

#[test]
fn an_error_says_what_is_wrong_without_printing_control_characters() {
    let error = Jid::parse("a\u{1}@b").unwrap_err();
    assert_eq!(error.to_string(), "U+0001 is not allowed in the local part");
}

#[test]
fn addresses_are_serialised_as_text_and_checked_on_the_way_back() {
    let jid = Jid::parse("romeo@example.net/orchard").unwrap();
    assert_eq!(serde_json::to_string(&jid).unwrap(), "\"romeo@example.net/orchard\"");
    assert_eq!(serde_json::from_str::<Jid>("\"ROMEO@example.net/orchard\"").unwrap(), jid);
    assert_eq!(serde_json::from_str::<BareJid>("\"romeo@example.n\\u0065t\"").unwrap(), jid.to_bare());
    assert!(serde_json::from_str::<Jid>("\"@\"").is_err());
    assert!(serde_json::from_str::<BareJid>("\"a@b/c\"").is_err());
}

/// Text that reaches the rules: separators, cases, marks, joiners, digits, right-to-left, emoji, punycode.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "l",
        "A",
        "1",
        "-",
        ".",
        "@",
        "/",
        " ",
        "xn--",
        "bcher-kva",
        "ß",
        "ς",
        "Σ",
        "İ",
        "ü",
        "u",
        "\u{308}",
        "\u{301}",
        "\u{345}",
        "\u{3000}",
        "\u{A0}",
        "Ａ",
        "ｶ",
        "ﾞ",
        "\u{200C}",
        "\u{200D}",
        "\u{FE0F}",
        "🤷",
        "🏽",
        "♀",
        "🏴",
        "\u{E0067}",
        "\u{E007F}",
        "א",
        "س",
        "\u{661}",
        "\u{6F1}",
        "·",
        "・",
        "漢",
        "\u{1100}",
        "\u{1161}",
        "。",
        "☕",
        "\u{AD}",
        "\u{130}",
        "Ǆ",
        "ǅ",
        "\u{212B}",
        "\u{2126}",
        "\u{1E9E}",
        "[",
        "]",
        "::1",
        "%25",
        "\u{13A0}",
        "\u{AB70}",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(
        prop_oneof![9 => piece.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..12,
    )
    .prop_map(|pieces| pieces.concat())
}

fn address() -> impl Strategy<Value = String> {
    let domain = prop_oneof![Just("example.net".to_owned()), tricky()];
    prop_oneof![
        tricky(),
        any::<String>(),
        (prop::option::of(tricky()), domain, prop::option::of(tricky())).prop_map(
            |(local, domain, resource)| {
                let local = local.map_or(String::new(), |local| local + "@");
                local + &domain + &resource.map_or(String::new(), |resource| format!("/{resource}"))
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever comes in, there is no panic; and what is accepted is stable, whole and consistent.
    #[test]
    fn preparing_twice_is_preparing_once(text in address()) {
        if let Ok(jid) = Jid::parse(&text) {
            let again = Jid::parse(jid.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&jid));
            let parts = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
            prop_assert_eq!(parts.as_ref(), Ok(&jid));
            let again = again.unwrap();
            prop_assert_eq!(
                (again.local(), again.domain(), again.resource()),
                (jid.local(), jid.domain(), jid.resource())
            );
            prop_assert_eq!(BareJid::parse(jid.bare_str()), Ok(jid.to_bare()));
            prop_assert!(jid.as_str().len() <= JID_BYTES_MAX);
        }
    }

    /// The `jid` crate prepares by RFC 6122; on plain ASCII the two RFCs say the same, but for what
    /// `differs_by_choice` names.
    #[test]
    fn the_jid_crate_agrees_on_plain_ascii(
        text in "([ -~]{0,6}@)?([a-zA-Z0-9.-]{0,12}|[!-~]{0,6}|[a-z]{1,8}\\.[a-z]{2,3}|[0-9.]{7,11})(/[ -~\t]{0,6})?"
    ) {
        let theirs = jid::Jid::new(&text);
        let ours = Jid::parse(&text);
        if !differs_by_choice(&text) {
            prop_assert_eq!(ours.as_ref().map(Jid::as_str).ok(), theirs.as_ref().map(jid::Jid::as_str).ok());
        }
    }
}

/// Where we are stricter (leading space of a resource, letters-digits-hyphen in names) or laxer (a label
/// with hyphens in its third and fourth place) than the `jid` crate; and the final dot, which it keeps in
/// front of a resource.
fn differs_by_choice(text: &str) -> bool {
    let (bare, resource) = text.split_once('/').unwrap_or((text, ""));
    let domain = bare.split_once('@').map_or(bare, |(_, domain)| domain);
    resource.starts_with(' ')
        || domain.contains("--")
        || domain.ends_with('.')
        || domain.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-'))
}
