//! Who may depend on whom, told by the manifests. A new edge is a conversation, not a commit.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Each crate of ours, and the crates of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("hearth-wire", &[]),
    ("hearth-store", &["hearth-wire"]),
    ("hearth-core", &["hearth-wire", "hearth-store"]),
    ("hearth-net", &["hearth-wire", "hearth-store", "hearth-core"]),
    ("hearth-xep", &["hearth-wire", "hearth-store", "hearth-core"]),
    // The program is the only place where siblings meet.
    ("hearth", &["hearth-wire", "hearth-store", "hearth-core", "hearth-net", "hearth-xep"]),
    // It judges the server from outside: our parser cannot hide its bugs from another one.
    ("hearth-conformance", &[]),
];

#[test]
fn crates_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for manifest in manifests() {
        let name = manifest["package"]["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} is not in the table of {}", file!()));
            continue;
        };
        for used in ours(&manifest) {
            if used != name && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} may not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_edge_is_seen_wherever_it_stands() {
    for text in [
        "[dependencies]\nhearth-xep.workspace = true",
        "[dev-dependencies]\nhearth-xep = { path = 'x' }",
        "[build-dependencies]\nhearth-xep = '1'",
        "[target.'cfg(unix)'.dependencies]\nhearth-xep = '1'",
        "[dependencies]\nx = { package = 'hearth-xep', path = 'x' }",
    ] {
        let manifest: Table = text.parse().unwrap();
        assert_eq!(ours(&manifest), ["hearth-xep"], "{text}");
    }
}

/// The manifest of the program and those of all members of the workspace.
fn manifests() -> Vec<Table> {
    let root = root();
    let mut manifests = vec![read(&root)];
    let members = manifests[0]["workspace"]["members"].as_array().expect("a workspace has members").clone();
    for member in &members {
        manifests.push(read(&root.join(member.as_str().expect("a member is a path"))));
    }
    assert_eq!(manifests.len(), MAY_USE.len(), "the table has every crate of the workspace");
    manifests
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the root").to_path_buf()
}

fn read(folder: &Path) -> Table {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a crate has a manifest");
    text.parse().expect("a manifest is TOML")
}

/// Crates of ours that a manifest names as a dependency of any kind.
fn ours(manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for table in std::iter::once(manifest).chain(per_target) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(Value::as_table) else { continue };
            for (name, value) in dependencies {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
                if package == "hearth" || package.starts_with("hearth-") {
                    found.push(package.to_owned());
                }
            }
        }
    }
    found
}
