//! Stream headers: judging the client's, making ours (RFC 6120 §4.7).

use std::sync::Arc;

use hearth_wire::{Header, Jid, StreamCondition, ns};

use crate::host::{Host, Hosts};

/// The header the server answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHeader {
    /// The host that speaks.
    pub from: String,
    /// The client, if it said who it is.
    pub to: Option<String>,
    /// Unique and unguessable (§4.7.3).
    pub id: String,
    /// The lower of the client's version and ours; none where the client named none (§4.7.5).
    pub version: Option<String>,
}

/// The only version there is (§4.7.5).
pub const VERSION: &str = "1.0";
/// The language of the server's texts (§4.7.4).
pub const LANG: &str = "en";

/// What the client's header says, if it is acceptable.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) host: Arc<Host>,
    pub(crate) from: Option<Jid>,
    pub(crate) lang: Option<Box<str>>,
}

/// Judges a header that is addressed to this host, by its `to` or by what is known otherwise.
///
/// # Errors
/// The stream error it earns.
pub(crate) fn judge(header: &Header, to: Option<&str>, hosts: &Hosts) -> Result<Opened, StreamCondition> {
    if header.namespace != ns::STREAM {
        return Err(StreamCondition::InvalidNamespace);
    }
    if header.name != "stream" {
        return Err(StreamCondition::BadFormat);
    }
    // §4.8.5: the one prefix that everybody uses, or none
    if !matches!(header.prefix.as_str(), "" | "stream") {
        return Err(StreamCondition::BadNamespacePrefix);
    }
    // §4.8.3: the content namespace may be declared here or on each stanza
    if !matches!(header.content.as_deref(), None | Some(ns::CLIENT | ns::STREAM)) {
        return Err(StreamCondition::InvalidNamespace);
    }
    let to = to.ok_or(StreamCondition::ImproperAddressing)?;
    let host = host(to, hosts).ok_or(StreamCondition::HostUnknown)?;
    if !speaks_version(header.version.as_deref()) {
        return Err(StreamCondition::UnsupportedVersion);
    }
    let from =
        header.from.as_deref().map(Jid::parse).transpose().map_err(|_| StreamCondition::InvalidFrom)?;
    // what is no language is not put on other people's screens: the stream has none then
    let lang = header.lang.as_deref().filter(|lang| is_language_tag(lang));
    Ok(Opened { host: Arc::clone(host), from, lang: lang.map(Into::into) })
}

/// RFC 5646 §4.4.1 wants room for 35 characters; what is longer is nobody's language.
const LANG_BYTES_MAX: usize = 35;

/// Whether it has the shape of a language tag (RFC 5646 §2.1): subtags of at most eight letters and digits with hyphens
/// between, the first of letters. That is an NMTOKEN, too (RFC 6120 §4.7.4, §8.1.5).
fn is_language_tag(tag: &str) -> bool {
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let primary = tag.split('-').next().unwrap_or_default();
    tag.len() <= LANG_BYTES_MAX
        && tag.split('-').all(is_subtag)
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The host that a header is addressed to.
pub(crate) fn host<'a>(to: &str, hosts: &'a Hosts) -> Option<&'a Arc<Host>> {
    let domain = hearth_wire::jid::prepare_domain(to).ok()?;
    hosts.get(&domain)
}

/// §4.7.5: any version from 1.0 on; we answer with ours, the lower. None at all means 0.9.
fn speaks_version(version: Option<&str>) -> bool {
    parse_version(version).is_some_and(|version| version >= OURS)
}

/// [`VERSION`] as numbers.
const OURS: (u32, u32) = (1, 0);

fn parse_version(version: Option<&str>) -> Option<(u32, u32)> {
    let (major, minor) = version?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The version for our header: the lower one (§4.7.5 rule 2). What is no version at all is answered with ours.
pub(crate) fn lower_version(theirs: Option<&str>) -> Option<String> {
    let (major, minor) = parse_version(theirs).unwrap_or(OURS).min(OURS);
    theirs.map(|_| format!("{major}.{minor}"))
}

impl OpenHeader {
    /// The header as TCP frames it (§4.2): the XML declaration and the open tag.
    pub fn write(&self, out: &mut String) {
        use hearth_wire::text::{Place, escape};
        out.push_str("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='");
        out.push_str(ns::STREAM);
        let mut attr = |name: &str, value: &str| {
            out.push_str("' ");
            out.push_str(name);
            out.push_str("='");
            escape(value, Place::Attribute, out);
        };
        attr("id", &self.id);
        attr("from", &self.from);
        if let Some(to) = &self.to {
            attr("to", to);
        }
        if let Some(version) = &self.version {
            attr("version", version);
        }
        attr("xml:lang", LANG);
        out.push_str("'>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_1_0_on_are_spoken() {
        for version in ["1.0", "1.1", "1.10", "2.0", "01.00"] {
            assert!(speaks_version(Some(version)), "{version}");
        }
        for version in [None, Some("0.9"), Some("1"), Some(""), Some("1.x"), Some("-1.0"), Some("one")] {
            assert!(!speaks_version(version), "{version:?}");
        }
        assert_eq!(lower_version(Some("1.1")).as_deref(), Some("1.0"));
        assert_eq!(lower_version(Some("0.9")).as_deref(), Some("0.9"));
        assert_eq!(lower_version(None), None);
    }

    #[test]
    fn a_language_has_the_shape_of_a_tag() {
        for tag in ["de", "tlh", "de-CH-1996", "zh-Hant-TW", "x-klingon", "i-default", "sl-rozaj-biske-1994"]
        {
            assert!(is_language_tag(tag), "{tag}");
        }
        let long = "en-".repeat(12) + "US";
        for no in
            ["", "-", "de-", "-de", "de--CH", "d\u{e9}", "de CH", "!!not a lang<", "1a", "germanish", &long]
        {
            assert!(!is_language_tag(no), "{no}");
        }
    }

    #[test]
    fn our_header_is_whole() {
        let (from, to) = ("im.example".into(), Some("a'b@im.example".into()));
        let header = OpenHeader { from, to, id: "i1".into(), version: Some("1.0".into()) };
        let mut out = String::new();
        header.write(&mut out);
        assert_eq!(
            out,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             id='i1' from='im.example' to='a&apos;b@im.example' version='1.0' xml:lang='en'>"
        );
    }
}
