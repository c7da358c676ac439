//! A Rust file, taken apart into code, strings and comments: just enough of the language for that.

/// One file.
pub(crate) struct Source {
    pub(crate) text: String,
    /// The text with comments and the insides of strings taken out; lines are kept.
    pub(crate) code: String,
    /// Comments with their lines.
    pub(crate) comments: Vec<(usize, String)>,
    /// String literals with their lines, as written.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let mut source =
            Self { text: text.to_owned(), code: String::new(), comments: Vec::new(), strings: Vec::new() };
        let mut rest = text;
        let mut line = 1;
        while !rest.is_empty() {
            let taken = source.take(rest, line);
            line += rest[..taken].matches('\n').count();
            rest = &rest[taken..];
        }
        source
    }

    /// Strings of what is shipped: our tests stand last in a file.
    pub(crate) fn before_tests(&self) -> impl Iterator<Item = &(usize, String)> {
        let tests = self.text.lines().position(|line| line == "#[cfg(test)]").unwrap_or(usize::MAX);
        self.strings.iter().filter(move |(line, _)| *line <= tests)
    }

    /// Takes one comment, string or character; returns its length.
    fn take(&mut self, rest: &str, line: usize) -> usize {
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.comments.push((line, rest[..end].to_owned()));
            end
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
            self.comments.push((line, rest[..end].to_owned()));
            self.code.extend(rest[..end].chars().filter(|c| *c == '\n'));
            end
        } else if let Some((start, end)) = string(rest).filter(|_| !self.inside_word()) {
            self.strings.push((line, rest[start..end.0].to_owned()));
            self.code.push_str("\"\"");
            self.code.extend(rest[..end.1].chars().filter(|c| *c == '\n'));
            end.1
        } else if let Some(end) = character(rest) {
            self.code.push_str("' '");
            end
        } else {
            let first = rest.chars().next().map_or(1, char::len_utf8);
            self.code.push_str(&rest[..first]);
            first
        }
    }

    /// `for` ends in r, but does not begin a raw string.
    fn inside_word(&self) -> bool {
        self.code.ends_with(|last: char| last.is_alphanumeric() || last == '_')
    }
}

/// A string literal at the beginning: where its content begins and ends, and where it ends itself.
fn string(rest: &str) -> Option<(usize, (usize, usize))> {
    let prefix = ["b", "c", ""].iter().find(|prefix| {
        let after = rest.strip_prefix(**prefix);
        after.is_some_and(|after| after.starts_with(['"', 'r']))
    })?;
    let after = &rest[prefix.len()..];
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        raw[hashes..].strip_prefix('"')?;
        let start = prefix.len() + 2 + hashes;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = start + rest[start..].find(&close)?;
        return Some((start, (end, end + close.len())));
    }
    let start = prefix.len() + 1;
    let mut escaped = false;
    for (at, character) in rest[start..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((start, (start + at, start + at + 1))),
            _ => {}
        }
    }
    None
}

/// A character literal at the beginning (not a lifetime): its length.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let length = if first == '\\' { inside[2..].find('\'')? + 2 } else { first.len_utf8() };
    inside[length..].starts_with('\'').then_some(length + 2)
}

#[test]
fn a_file_is_taken_apart() {
    let source = Source::read(
        "//! x\nfn f<'a>() { let a = \"s\\\"1\"; /* c\n */ let b = r#\"r\"2\"#; let c = '\"'; for r in b\"3\" {} }\n\
         #[cfg(test)]\nmod tests { const A: &str = \"4\"; }",
    );
    let strings: Vec<_> = source.strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(strings, [(2, "s\\\"1"), (3, "r\"2"), (3, "3"), (5, "4")]);
    assert_eq!(source.before_tests().count(), 3);
    assert_eq!(source.comments.len(), 2);
    assert_eq!(source.code.lines().count(), 5);
}
