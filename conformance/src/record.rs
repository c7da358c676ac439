//! Everything that the server sent in a scenario, written down for the schemas.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::client::Received;

/// Where the records of a server lie.
pub(crate) fn folder(root: &Path, server: &str) -> PathBuf {
    match server {
        "hearth" => root.join("target/conformance/sent"),
        other => root.join("target/conformance/sent-by").join(other),
    }
}

/// Writes `<scenario path with dashes>.xml`.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(folder: &Path, scenario: &str, sent: &[Received]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = scenario.trim_end_matches(".txt").replace('/', "-");
    std::fs::write(folder.join(format!("{name}.xml")), document(sent))
}

fn document(sent: &[Received]) -> String {
    let mut xml = "<?xml version='1.0' encoding='UTF-8'?>\n<sent xmlns=\"urn:hearth:sent\">\n".to_owned();
    for received in sent {
        let element = match received {
            Received::Header(header) => &header.element,
            Received::Element(element) => element,
            Received::StreamClose | Received::Closed(_) | Received::Bad(_) => continue,
        };
        // A String takes whatever is written into it.
        writeln!(xml, "{element}").ok();
    }
    xml.push_str("</sent>\n");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_fragment;

    #[test]
    fn a_record_is_xml_with_all_namespaces() {
        let sent =
            [Received::Element(parse_fragment("<message><body>&lt;</body></message>").unwrap().remove(0))];
        let text = document(&sent);
        assert!(text.ends_with(
            "<sent xmlns=\"urn:hearth:sent\">\n<message xmlns=\"jabber:client\"><body>&lt;</body></message>\n</sent>\n"
        ));
    }
}
