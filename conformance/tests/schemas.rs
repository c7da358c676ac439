//! The schemas of `schemas/xml` test themselves: valid samples are accepted, each invalid one is refused.
//! What they are for and how they are built: `schemas/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn valid_samples_are_accepted() {
    let samples = files("schemas/tests/valid", "xml");
    let verdicts = validate(&samples);
    let refused: Vec<_> = samples.iter().filter(|s| !verdicts.accepted.contains(*s)).collect();
    assert!(
        refused.is_empty(),
        "refused: {refused:#?}\n(schemas/explain FILE says why)\n{}",
        verdicts.report
    );
}

/// `xmllint` says nothing about the validity of a file that it cannot parse, so those are not taken for refused.
#[test]
fn invalid_samples_are_refused() {
    let samples = files("schemas/tests/invalid", "xml");
    let verdicts = validate(&samples);
    let not_refused: Vec<_> = samples.iter().filter(|s| !verdicts.refused.contains(*s)).collect();
    assert!(not_refused.is_empty(), "not refused, or not well-formed: {not_refused:#?}\n{}", verdicts.report);
}

/// A sample that names no mistake cannot be told from one that is wrong by accident.
#[test]
fn every_sample_says_what_it_shows() {
    for sample in files("schemas/tests/valid", "xml").iter().chain(&files("schemas/tests/invalid", "xml")) {
        let text = read(&root().join(sample));
        let comment = text.lines().nth(1).unwrap_or_default();
        assert!(comment.starts_with("<!-- ") && comment.ends_with(". -->"), "{sample}: line 2 is no comment");
    }
}

#[test]
fn every_schema_is_included() {
    let entry = read(&root().join("schemas/xml/sent.rng"));
    let included: BTreeSet<String> = attribute_values(&entry, "<include href=").collect();
    let schemas: BTreeSet<String> = files("schemas/xml", "rng")
        .iter()
        .filter_map(|path| path.rsplit('/').next())
        .filter(|name| !["sent.rng", "element.rng"].contains(name))
        .map(String::from)
        .collect();
    assert_eq!(included, schemas);
}

/// A namespace that some schema describes but `foreign.rng` does not except would be open to anything.
#[test]
fn every_described_namespace_is_strict() {
    let mut described = BTreeSet::new();
    for schema in files("schemas/xml", "rng") {
        let text = read(&root().join(&schema));
        described.extend(text.split("<element name=").skip(1).flat_map(|rest| {
            let tag = rest.split('>').next().unwrap_or_default();
            attribute_values(tag, " ns=").next()
        }));
    }
    let foreign = read(&root().join("schemas/xml/foreign.rng"));
    let excepted: BTreeSet<String> = attribute_values(&foreign, "<nsName ns=").collect();
    let missing: Vec<_> = described.difference(&excepted).collect();
    assert!(!described.is_empty() && missing.is_empty(), "not excepted in foreign.rng: {missing:?}");
}

/// What `xmllint` said of each file, and all that it said.
struct Verdicts {
    accepted: BTreeSet<String>,
    refused: BTreeSet<String>,
    report: String,
}

/// One call for all files: the schemas are read once, so that hundreds of samples cost less than a second.
fn validate(samples: &[String]) -> Verdicts {
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--relaxng", "schemas/xml/sent.rng"])
        .args(samples)
        .current_dir(root())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "xmllint is missing, and the schemas cannot be tested without it: apt-get install libxml2-utils"
            )
        }
        Err(error) => panic!("xmllint does not start: {error}"),
    };
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let ends = |verdict: &str| {
        report.lines().filter_map(|line| line.strip_suffix(verdict)).map(String::from).collect()
    };
    Verdicts { accepted: ends(" validates"), refused: ends(" fails to validate"), report: report.clone() }
}

/// The files of a folder, as paths from the root of the repository, in order. An empty folder proves nothing.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{folder}: {error}")).file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|found| found == extension))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} holds no .{extension} files");
    names
}

/// The quoted values that follow `before` in an XML text (the schemas quote with `"` only).
fn attribute_values<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').nth(1)).map(String::from)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
