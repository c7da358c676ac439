//! The description of the project for programs: DOAP with XMPP's own terms.   https://xmpp.org/extensions/xep-0453.html

use std::fmt::Write as _;

use hearth_core::module::Support;

use super::{golden, xeps};

const RFCS: [u16; 4] = [6120, 6121, 7590, 7622];

#[test]
fn the_doap_file_lists_what_is_implemented() {
    let mut implements = String::new();
    for rfc in RFCS {
        let _ = writeln!(
            implements,
            "    <implements rdf:resource=\"https://www.rfc-editor.org/info/rfc{rfc}\"/>"
        );
    }
    for xep in xeps() {
        let status = match xep.support {
            Support::Complete => "complete",
            Support::Partial => "partial",
        };
        let _ = write!(
            implements,
            "    <implements>
      <xmpp:SupportedXep>
        <xmpp:xep rdf:resource=\"https://xmpp.org/extensions/xep-{:04}.html\"/>
        <xmpp:status>{status}</xmpp:status>
        <xmpp:version>{}</xmpp:version>
      </xmpp:SupportedXep>
    </implements>
",
            xep.number, xep.version
        );
    }
    golden(
        "doap.xml",
        &format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<rdf:RDF xmlns=\"http://usefulinc.com/ns/doap#\"
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"
         xmlns:xmpp=\"https://linkmauve.fr/ns/xmpp-doap#\">
  <Project>
    <name>Hearth</name>
    <shortdesc xml:lang=\"en\">{}</shortdesc>
    <license rdf:resource=\"https://spdx.org/licenses/MIT\"/>
    <license rdf:resource=\"https://spdx.org/licenses/Apache-2.0\"/>
    <programming-language>Rust</programming-language>
    <os>Linux</os>
    <category rdf:resource=\"https://linkmauve.fr/ns/xmpp-doap#category-xmpp\"/>
    <category rdf:resource=\"https://linkmauve.fr/ns/xmpp-doap#category-server\"/>
{implements}  </Project>
</rdf:RDF>
",
            env!("CARGO_PKG_DESCRIPTION")
        ),
    );
}
