//! The list of files that this server has made, with their SHA-256, in the form that `sha256sum --check` reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const FILE: &str = "development.sha256";

/// Entries are `(hash, file name)`. While a file is being replaced it has two.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Manifest(Vec<(String, String)>);

impl Manifest {
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// The manifest of `directory`; empty when there is none. Lines that are not ours to read are dropped.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        match fs::read_to_string(Self::path(directory)) {
            Ok(text) => Ok(Self(text.lines().filter_map(entry).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let text: String = self.0.iter().map(|(hash, name)| format!("{hash}  {name}\n")).collect();
        put(&Self::path(directory), text.as_bytes(), 0o644)
    }

    /// Whether the file at `path` with this content is ours.
    pub(super) fn has(&self, path: &Path, content: &[u8]) -> bool {
        let (hash, name) = (hash(content), name(path));
        self.0.iter().any(|entry| entry.0 == hash && entry.1 == name)
    }

    /// Adds a content that `path` will have.
    pub(super) fn add(&mut self, path: &Path, content: &[u8]) {
        self.0.push((hash(content), name(path)));
    }

    /// Forgets all contents of `path` but this one.
    pub(super) fn only(&mut self, path: &Path, content: &[u8]) {
        let name = name(path);
        self.0.retain(|entry| entry.1 != name);
        self.0.push((hash(content), name));
    }
}

/// Writes a file as a whole or not at all, readable by others only if `mode` says so from its first moment.
pub(super) fn put(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_file_name(format!(".{}.new", name(path)));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(new, path)
}

fn entry(line: &str) -> Option<(String, String)> {
    let (hash, name) = line.split_once("  ")?;
    (hash.len() == 64).then(|| (hash.to_owned(), name.to_owned()))
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_the_disk_and_knows_both_contents_while_a_file_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("localhost.crt");
        assert_eq!(Manifest::read(home.path()).unwrap(), Manifest::default());
        let mut manifest = Manifest::default();
        manifest.add(&path, b"old");
        manifest.add(&path, b"new");
        manifest.write(home.path()).unwrap();
        let mut manifest = Manifest::read(home.path()).unwrap();
        assert!(manifest.has(&path, b"old") && manifest.has(&path, b"new"));
        assert!(!manifest.has(&path, b"other") && !manifest.has(&home.path().join("b.crt"), b"old"));
        manifest.only(&path, b"new");
        assert!(!manifest.has(&path, b"old") && manifest.has(&path, b"new"));
    }
}
