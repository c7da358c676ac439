//! Every requirement that a server has to meet is shown by a scenario or says why not; no scenario claims another.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hearth_conformance::scenario::{self, Scenario};
use serde::Deserialize;

/// `conformance/requirements*.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

/// One MUST of a specification.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    /// `rfc6120-4.7.1-2`
    id: String,
    section: String,
    level: String,
    who: String,
    says: String,
    /// Paths below `scenarios`, without `.txt`.
    #[serde(default)]
    scenario: Vec<String>,
    reason: Option<String>,
}

const LEVELS: &[&str] =
    &["MUST", "MUST NOT", "REQUIRED", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY", "RECOMMENDED"];

#[test]
fn scenarios_are_readable() {
    if let Err(mistakes) = scenario::all(&folder().join("scenarios")) {
        panic!("{}", mistakes.join("\n"));
    }
}

#[test]
fn every_requirement_is_shown_or_excused() {
    let scenarios = scenarios();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for requirement in requirements() {
        if !seen.insert(requirement.id.clone()) {
            wrong.push(format!("{}: twice", requirement.id));
        }
        wrong.extend(problems(&requirement, &scenarios));
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_claim_of_a_scenario_is_a_requirement() {
    let known: BTreeSet<String> = requirements().into_iter().map(|requirement| requirement.id).collect();
    let mut wrong = Vec::new();
    for (path, scenario) in scenarios() {
        for id in scenario.header.covers.iter().filter(|id| !known.contains(*id)) {
            wrong.push(format!("{path}.txt covers {id}, which is in no requirements*.toml"));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_requirement_without_proof_is_noticed() {
    let text = "title: x\ncovers: a-1\nuser/r connects\n";
    let shown = Scenario::parse("a/x.txt", text).unwrap();
    let scenarios = BTreeMap::from([("a/x".to_owned(), shown)]);
    let requirement = |id: &str, who: &str, scenario: &[&str], reason: Option<&str>| Requirement {
        id: id.to_owned(),
        section: "1".to_owned(),
        level: "MUST".to_owned(),
        who: who.to_owned(),
        says: "something".to_owned(),
        scenario: scenario.iter().map(|path| (*path).to_owned()).collect(),
        reason: reason.map(str::to_owned),
    };
    let count = |requirement| problems(&requirement, &scenarios).len();
    assert_eq!(count(requirement("a-1", "server", &["a/x"], None)), 0);
    assert_eq!(count(requirement("a-1", "server", &[], None)), 1, "nothing shows it");
    assert_eq!(count(requirement("a-1", "both", &[], Some(" "))), 1, "an empty reason is none");
    assert_eq!(count(requirement("a-1", "client", &[], None)), 0);
    assert_eq!(count(requirement("a-1", "server", &["a/y"], None)), 1, "no such scenario");
    assert_eq!(count(requirement("a-2", "server", &["a/x"], None)), 1, "the scenario does not say so");
    assert_eq!(count(requirement("a-1", "nobody", &["a/x"], None)), 1);
}

fn problems(requirement: &Requirement, scenarios: &BTreeMap<String, Scenario>) -> Vec<String> {
    let Requirement { id, level, who, .. } = requirement;
    let mut wrong = Vec::new();
    if requirement.section.is_empty() || requirement.says.trim().is_empty() {
        wrong.push(format!("{id}: section or text is missing"));
    }
    if !LEVELS.contains(&level.as_str()) {
        wrong.push(format!("{id}: unknown level {level}"));
    }
    let excused = requirement.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
    match who.as_str() {
        "client" => {}
        "server" | "both" if requirement.scenario.is_empty() && !excused => {
            wrong.push(format!("{id}: neither a scenario nor a reason"));
        }
        "server" | "both" => {}
        _ => wrong.push(format!("{id}: unknown side {who}")),
    }
    for path in &requirement.scenario {
        match scenarios.get(path.trim_end_matches(".txt")) {
            None => wrong.push(format!("{id}: no scenario {path}")),
            Some(scenario) if !scenario.header.covers.contains(id) => {
                wrong.push(format!("{id}: {path} does not list it in `covers:`"));
            }
            Some(_) => {}
        }
    }
    wrong
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn scenarios() -> BTreeMap<String, Scenario> {
    let all = scenario::all(&folder().join("scenarios")).expect("see the test `scenarios_are_readable`");
    all.into_iter().map(|scenario| (scenario.path.trim_end_matches(".txt").to_owned(), scenario)).collect()
}

fn requirements() -> Vec<Requirement> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("requirements") && name.ends_with(".toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            all.extend(file.requirement);
        }
    }
    all
}
