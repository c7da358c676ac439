//! What a server's log must not hold: the passwords and texts of the scenarios. Their servers log all they can, and what
//! they wrote is searched for them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

/// Shorter ones (`1`, `wrong`) stand in a log for other reasons.
const BYTES_MIN: usize = 8;

/// How much of a line is shown.
const SHOWN_MAX: usize = 300;

/// Contents that are nobody's business: of these elements, and of fields with these names.
static CONTENTS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let element = r"<(?:body|subject|password|status)(?:\s[^>]*)?>([^<]+)</";
    let field = r#"<field\s[^>]*var=["'](?:password|password-verify)["'][^>]*>\s*<value>([^<]+)</"#;
    #[expect(clippy::unwrap_used, reason = "a test compiles them")]
    [element, field].map(|pattern| Regex::new(pattern).unwrap())
});

/// Passwords and texts that were used.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// A password, as it is and as PLAIN carries it.
    pub(crate) fn password(&mut self, name: &str, password: &str) {
        self.add(password);
        self.0.insert(STANDARD.encode(format!("\0{name}\0{password}")));
    }

    /// Something that a client sent.
    pub(crate) fn sent(&mut self, xml: &str) {
        for contents in &*CONTENTS {
            for found in contents.captures_iter(xml) {
                self.add(found.get(1).map_or("", |text| text.as_str()));
            }
        }
    }

    fn add(&mut self, text: &str) {
        let text = text.trim();
        // what has references is written otherwise by the server
        if text.len() >= BYTES_MIN && !text.contains('&') {
            self.0.insert(text.to_owned());
        }
    }

    /// Takes the others in.
    pub(crate) fn join(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The first line of a log that holds one of them; `None` if none does. Only where the scenario wants it so (`is_quiet`)
    /// may the log tell little.
    ///
    /// # Errors
    /// The log cannot be read, or tells so little that it proves nothing.
    pub(crate) fn find_in(&self, log: &Path, is_quiet: bool) -> Result<Option<String>> {
        let log = std::fs::read(log).with_context(|| log.display().to_string())?;
        let log = String::from_utf8_lossy(&log);
        if !is_quiet && !log.contains("TRACE") {
            bail!("the log does not tell all it could: it proves nothing about secrets");
        }
        let secrets: Vec<&String> = self.0.iter().collect();
        let Some(found) = AhoCorasick::new(&secrets)?.find(log.as_bytes()) else { return Ok(None) };
        let begin = log[..found.start()].rfind('\n').map_or(0, |end| end + 1);
        let line = log[begin..].lines().next().unwrap_or_default();
        let shown = &line[..line.floor_char_boundary(SHOWN_MAX)];
        Ok(Some(format!("`{}` in: {shown}", secrets[found.pattern().as_usize()])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(log: &str) -> Result<Option<String>> {
        let mut secrets = Secrets::default();
        secrets.password("romeo", "0123456789abcdef");
        secrets.password("admin", "admin");
        secrets
            .sent("<message><body xml:lang='en'>Wherefore art thou</body><subject>short</subject></message>");
        secrets.sent("<x><field type='text-private' var='password'><value>R0m30-R0m30</value></field></x>");
        let file = std::env::temp_dir().join(format!("hearth-secrets-{}-{}", std::process::id(), log.len()));
        std::fs::write(&file, format!("TRACE begins\n{log}\nends")).unwrap();
        let found = secrets.find_in(&file, false);
        std::fs::remove_file(&file).unwrap();
        found
    }

    #[test]
    fn passwords_and_texts_are_found_in_a_log() {
        for told in [
            "INFO login password=\"0123456789abcdef\"",
            "DEBUG Wherefore art thou, Romeo",
            "DEBUG form R0m30-R0m30",
            "TRACE <auth>AHJvbWVvADAxMjM0NTY3ODlhYmNkZWY=</auth>",
            "TRACE AGFkbWluAGFkbWlu",
        ] {
            let found = find(told).unwrap().unwrap_or_else(|| panic!("not found: {told}"));
            assert!(found.ends_with(told), "{found}");
        }
        assert_eq!(find("INFO admin said a short thing to romeo").unwrap(), None);
    }

    #[test]
    fn a_log_that_tells_little_proves_nothing() {
        let file = std::env::temp_dir().join(format!("hearth-secrets-{}", std::process::id()));
        std::fs::write(&file, "INFO all is well").unwrap();
        assert!(Secrets::default().find_in(&file, false).is_err());
        assert_eq!(Secrets::default().find_in(&file, true).unwrap(), None);
        std::fs::remove_file(&file).unwrap();
    }
}
