//! Tidiness as a test: headers, leftovers, sizes, dead files, stray namespaces, words that do not belong here.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod source;
mod tree;

use std::path::Path;

use regex::Regex;
use source::Source;
use tree::Tree;

/// A file that is longer holds more than one noun.
const LINES_MAX: usize = 600;

/// XEP namespaces that the layers below the XEPs may name: (file prefix, namespace, why).
const NAMESPACES_ALLOWED: &[(&str, &str, &str)] = &[
    ("src/core/", "urn:xmpp:features:rosterver", "RFC 6121 §2.6 itself defines it"),
    ("src/core/", "urn:xmpp:features:pre-approval", "RFC 6121 §3.4 itself defines it"),
];

/// How XEP namespaces begin.
const XEP_NAMESPACES: &[&str] = &["urn:xmpp:", "http://jabber.org/protocol/"];

/// Fails with all findings.
#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

fn rust_files() -> Vec<(String, Source)> {
    let tree = Tree::here();
    let files = tree.files(|path| path.ends_with(".rs"));
    assert!(files.len() > 10, "the tree is read");
    files.into_iter().map(|path| (path.clone(), Source::read(&tree.text(&path)))).collect()
}

#[test]
fn every_file_says_what_it_is() {
    let bare = rust_files().into_iter().filter(|(_, source)| !source.text.starts_with("//! "));
    none(bare.map(|(path, _)| format!("{path}: does not open with `//! `")).collect());
}

#[test]
fn no_leftovers() {
    let mut findings = Vec::new();
    for (path, source) in rust_files() {
        for (line, code) in source.code.lines().enumerate() {
            for name in ["dbg", "todo"] {
                if code.contains(&format!("{name}!(")) {
                    findings.push(format!("{path}:{}: {name}!", line + 1));
                }
            }
        }
        for (line, comment) in &source.comments {
            for mark in ["FIX\u{4d}E", "XX\u{58}"] {
                if let Some(at) = comment.find(mark)
                    && !comment[at + mark.len()..].starts_with('(')
                {
                    findings.push(format!("{path}:{line}: {mark} without an owner, as in {mark}(name)"));
                }
            }
        }
    }
    none(findings);
}

#[test]
fn files_are_short_and_without_tabs() {
    let mut findings = Vec::new();
    for (path, source) in rust_files() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines, at most {LINES_MAX}"));
        }
        if source.text.contains('\t') {
            findings.push(format!("{path}: a tab"));
        }
    }
    none(findings);
}

#[test]
fn the_layers_below_know_no_xep() {
    let mut findings = Vec::new();
    for (path, source) in rust_files() {
        let below = ["src/wire/", "src/store/", "src/core/"].iter().any(|layer| path.starts_with(layer));
        // Tests may show stanzas as clients send them.
        if !below || path.contains("/tests") || path.contains("/benches/") {
            continue;
        }
        for (line, literal) in source.before_tests() {
            let named = XEP_NAMESPACES.iter().any(|start| literal.contains(start));
            let allowed = NAMESPACES_ALLOWED
                .iter()
                .any(|(prefix, namespace, _)| path.starts_with(prefix) && literal.contains(namespace));
            if named && !allowed {
                findings.push(format!("{path}:{line}: names a XEP: {literal:?}"));
            }
        }
    }
    none(findings);
}

/// What the server allows at most stands in one file. What a file knows better is listed there, so that nobody has to
/// look for it.
#[test]
fn limits_are_in_one_file_or_listed_there() {
    const ALL: &str = "src/core/limits.rs";
    let limit =
        Regex::new(r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?const [A-Z0-9_]+_MAX: ").expect("a good expression");
    let files = rust_files();
    let (_, all) = files.iter().find(|(path, _)| path == ALL).expect("the file of limits");
    let listed: Vec<&str> = all
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .flat_map(|line| line.split('`').filter(|word| word.ends_with(".rs") || word.ends_with('/')))
        .collect();
    let has_limits = files.iter().filter(|(path, source)| {
        let is_ours = ["src/wire/", "src/store/", "src/core/", "src/net/", "xep/"]
            .iter()
            .any(|at| path.starts_with(at));
        let is_test = path.contains("/tests") || path.contains("/examples/") || path.contains("/benches/");
        let shipped = source.code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        is_ours && !is_test && path != ALL && limit.is_match(shipped)
    });
    let has_limits: Vec<&str> = has_limits.map(|(path, _)| path.as_str()).collect();
    let is_in = |path: &str, place: &str| path == place || (place.ends_with('/') && path.starts_with(place));
    let unlisted = has_limits.iter().filter(|path| !listed.iter().any(|place| is_in(path, place)));
    let gone = listed.iter().filter(|place| !has_limits.iter().any(|path| is_in(path, place)));
    let findings = unlisted.map(|path| format!("{path}: a limit that {ALL} does not tell of"));
    none(findings.chain(gone.map(|path| format!("{ALL}: lists {path}, which has no limit"))).collect());
}

#[test]
fn nothing_names_what_is_not_here() {
    let tree = Tree::here();
    let words = [format!("..{}", "/shared"), format!("/work{}", "/")];
    let key =
        Regex::new("-----BEGIN [A-Z ]*PRIVATE KEY-----\\s+[A-Za-z0-9+/=]{40}").expect("a good expression");
    let mut findings = Vec::new();
    for path in tree.files(|_| true) {
        let text = tree.text(&path);
        if key.is_match(&text) {
            findings.push(format!("{path}: a private key"));
        }
        findings.extend(
            words.iter().filter(|word| text.contains(*word)).map(|word| format!("{path}: says {word:?}")),
        );
    }
    none(findings);
}

#[test]
fn every_file_is_reached() {
    let tree = Tree::here();
    let reached = tree.reached_modules();
    let dead = tree.files(|path| path.ends_with(".rs")).into_iter().filter(|path| !reached.contains(path));
    none(dead.map(|path| format!("{path}: no `mod` leads here")).collect());
}

#[test]
fn every_xep_has_scenarios() {
    let tree = Tree::here();
    let mut findings = Vec::new();
    for path in tree.files(|path| path.starts_with("xep/src/xep")) {
        let name = path.trim_start_matches("xep/src/");
        let folder = format!("conformance/scenarios/{}/", &name[..name.len().min(7)]);
        if tree.files(|other| other.starts_with(&folder) && other.ends_with(".txt")).is_empty() {
            findings.push(format!("{path}: no scenarios in {folder}"));
        }
    }
    none(findings);
}

#[test]
fn the_root_is_the_repository() {
    assert!(Path::new(&Tree::here().root).join("Cargo.lock").exists());
}
