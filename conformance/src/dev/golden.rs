//! `cargo dev bless`: the golden tests, told to write what they produce.

use std::path::Path;

use anyhow::Result;

use super::shell;

/// Runs all tests with goldens being rewritten; they are run again afterwards, so that what was written holds.
pub(super) fn bless(root: &Path) -> Result<()> {
    let arguments = ["test", "--release", "--workspace", "--no-fail-fast"];
    let first = shell::run(shell::cargo(root, &arguments).env("BLESS", "1").env("UPDATE_EXPECT", "1"));
    if let Err(error) = first {
        eprintln!("while blessing: {error:#}");
    }
    shell::run(&mut shell::cargo(root, &["test", "--release", "--workspace"]))
}
