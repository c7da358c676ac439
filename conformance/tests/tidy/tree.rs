//! The files of the repository, and the modules that cargo would find in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use toml::{Table, Value};

/// What lies in the root and is no part of the project (in a linked working tree `.git` is a file).
const NOT_OURS: &[&str] = &[".git", "target", "data", "certs"];

/// The repository.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Relative paths, with `/`.
    all: Vec<String>,
}

impl Tree {
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the root");
        let mut tree = Self { root: root.to_path_buf(), all: Vec::new() };
        tree.collect(root, true);
        tree.all.sort();
        tree
    }

    fn collect(&mut self, folder: &Path, is_root: bool) {
        for entry in std::fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let left_out = (is_root && NOT_OURS.contains(&name.as_str())) || name == "__pycache__";
            if left_out {
                continue;
            }
            if path.is_dir() {
                self.collect(&path, false);
            } else if path.is_file() {
                let relative = path.strip_prefix(&self.root).expect("below the root");
                self.all.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }

    pub(crate) fn files(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.all.iter().filter(|path| wanted(path)).cloned().collect()
    }

    /// A file's text; bytes that are no text are replaced.
    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.root.join(path)).expect("a file can be read"))
            .into_owned()
    }

    /// Every Rust file to which a crate's targets lead by their `mod` declarations.
    pub(crate) fn reached_modules(&self) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        for manifest in self.files(|path| path.ends_with("Cargo.toml")) {
            for target in self.targets(&manifest) {
                self.follow(&target, true, &mut reached);
            }
        }
        reached
    }

    /// Root files of a crate: those of its manifest, and those in the customary places.
    fn targets(&self, manifest: &str) -> Vec<String> {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let table: Table = self.text(manifest).parse().expect("a manifest is TOML");
        let mut targets: Vec<String> = ["src/lib.rs", "src/main.rs", "build.rs"].map(str::to_owned).to_vec();
        for kind in ["lib", "bin", "test", "bench", "example"] {
            let entries = match table.get(kind) {
                Some(Value::Array(entries)) => entries.clone(),
                Some(other) => vec![other.clone()],
                None => Vec::new(),
            };
            targets.extend(entries.iter().filter_map(|entry| entry.get("path")?.as_str().map(str::to_owned)));
        }
        let mut targets: Vec<String> = targets.into_iter().map(|path| format!("{folder}{path}")).collect();
        for place in ["src/bin/", "tests/", "benches/", "examples/"] {
            let place = format!("{folder}{place}");
            targets.extend(self.files(|path| {
                let inside = path.strip_prefix(&place).unwrap_or_default();
                path.starts_with(&place)
                    && path.ends_with(".rs")
                    && (!inside.contains('/')
                        || (inside.ends_with("/main.rs") && inside.matches('/').count() == 1))
            }));
        }
        targets.retain(|path| self.all.contains(path));
        targets
    }

    fn follow(&self, path: &str, is_root: bool, reached: &mut BTreeSet<String>) {
        if !reached.insert(path.to_owned()) {
            return;
        }
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.trim_end_matches(".rs");
        let below = if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
        for module in modules(&self.text(path)) {
            let candidates = match module {
                Module::Named(name) => vec![format!("{below}/{name}.rs"), format!("{below}/{name}/mod.rs")],
                Module::At(file) => vec![format!("{folder}/{file}"), format!("{below}/{file}")],
            };
            for candidate in candidates.iter().map(|path| path.trim_start_matches('/')) {
                if self.all.iter().any(|known| known == candidate) {
                    self.follow(candidate, false, reached);
                }
            }
        }
    }
}

enum Module {
    Named(String),
    At(String),
}

/// Modules that a file declares: `mod x;`, with `#[path]` or without, and the list of `xeps! { … }`.
fn modules(text: &str) -> Vec<Module> {
    let declared =
        Regex::new(r#"(?m)(?:#\[path\s*=\s*"([^"]+)"\]\s*)?^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;"#);
    let list = Regex::new(r"(?s)\bxeps!\s*[\{\(\[](.*?)[\}\)\]]");
    let mut found = Vec::new();
    for captures in declared.expect("a good expression").captures_iter(text) {
        match captures.get(1) {
            Some(path) => found.push(Module::At(path.as_str().to_owned())),
            None => found.push(Module::Named(captures[2].to_owned())),
        }
    }
    for captures in list.expect("a good expression").captures_iter(text) {
        let names = captures[1].split(|c: char| !c.is_alphanumeric() && c != '_');
        found.extend(names.filter(|name| !name.is_empty()).map(|name| Module::Named(name.to_owned())));
    }
    found
}

#[test]
fn modules_are_found() {
    let text = "mod a;\npub(crate) mod b;\n#[path = \"x.rs\"]\nmod c;\nmod d { }\nxeps! { e, f_g }\n";
    let names: Vec<String> = modules(text)
        .into_iter()
        .map(|module| match module {
            Module::Named(name) | Module::At(name) => name,
        })
        .collect();
    assert_eq!(names, ["a", "b", "x.rs", "e", "f_g"]);
}
