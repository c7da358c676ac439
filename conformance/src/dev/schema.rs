//! What the server sent in the scenarios, held against the schemas in `schemas/xml`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::record;

/// Validates every record of Hearth with `xmllint`.
///
/// # Errors
/// No records, no schema, or a record that is not valid.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
pub(super) fn validate(root: &Path) -> Result<()> {
    let folder = record::folder(root, "hearth");
    let schema = root.join("schemas/xml/sent.rng");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("no records in {}: run the scenarios first", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry?.path());
    }
    files.sort();
    if files.is_empty() {
        bail!("no records in {}", folder.display());
    }
    let mut failed = 0;
    for some in files.chunks(50) {
        let mut xmllint = Command::new("xmllint");
        xmllint.args(["--noout", "--huge", "--relaxng"]).arg(&schema).args(some);
        let output = xmllint.output().context("cannot run xmllint")?;
        let told = String::from_utf8_lossy(&output.stderr);
        let bad: Vec<&str> = told.lines().filter(|line| !line.ends_with(" validates")).collect();
        failed += told.lines().filter(|line| line.ends_with(" fails to validate")).count();
        if !output.status.success() {
            println!("{}", bad.join("\n"));
            failed = failed.max(1);
        }
    }
    println!("schema: {} passed, {failed} failed", files.len().saturating_sub(failed));
    if failed > 0 {
        bail!("{failed} records are not valid");
    }
    Ok(())
}
