//! Other programs, run with their output shown.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Cargo, the one that runs us.
pub(super) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments);
    command
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be run or does not succeed.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Whether a program is found on the path.
pub(super) fn has(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    // ejabberdctl is in a place that ordinary users do not search.
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
}
