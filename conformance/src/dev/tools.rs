//! Tools that the checks need, installed where that is possible without asking.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::shell;
use crate::server::Kind;

/// A program and the Debian package that has it.
pub(super) struct Tool<'a> {
    pub(super) program: &'a str,
    pub(super) package: &'a str,
}

pub(super) const PROSODY: Tool<'static> = Tool { program: "prosody", package: "prosody" };
pub(super) const EJABBERD: Tool<'static> = Tool { program: "ejabberdctl", package: "ejabberd" };
pub(super) const OPENSSL: Tool<'static> = Tool { program: "openssl", package: "openssl" };
pub(super) const XMLLINT: Tool<'static> = Tool { program: "xmllint", package: "libxml2-utils" };

pub(super) const STRACE: Tool<'static> = Tool { program: "strace", package: "strace" };

/// The `cargo-deny` that is built; another may judge otherwise.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// What can go wrong with a tool: CI has to have it, a developer may go without.
pub(super) enum Missing {
    /// Why it is not there.
    NotInstalled(String),
}

/// Makes sure of tools, by apt-get when we are root.
pub(super) fn need(tools: &[&Tool<'_>]) -> Result<(), Missing> {
    let missing: Vec<&str> =
        tools.iter().filter(|tool| !shell::has(tool.program)).map(|tool| tool.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt_get(&missing)
        .map_err(|error| Missing::NotInstalled(format!("not installed: {} ({error:#})", missing.join(", "))))
}

/// Installs Debian packages, without starting what they bring.
///
/// # Errors
/// We are not root, or it does not work.
pub(super) fn apt_get(packages: &[&str]) -> Result<()> {
    if !is_root() || !shell::has("apt-get") {
        bail!("install by hand: apt-get install {}", packages.join(" "));
    }
    let _policy = NoServices::new()?;
    shell::run(Command::new("apt-get").args(["update", "-qq"]).stdout(Stdio::null()))?;
    shell::run(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .stdout(Stdio::null()),
    )
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// While it lives, installing a package starts no service: we run servers of our own, in private.
struct NoServices {
    policy: Option<PathBuf>,
}

impl NoServices {
    fn new() -> Result<Self> {
        let policy = PathBuf::from("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return Ok(Self { policy: None });
        }
        std::fs::write(&policy, "#!/bin/sh\nexit 101\n").context("cannot keep services from starting")?;
        shell::run(Command::new("chmod").arg("755").arg(&policy))?;
        Ok(Self { policy: Some(policy) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.policy
            && let Err(error) = std::fs::remove_file(policy)
        {
            eprintln!("could not remove {}: {error}", policy.display());
        }
    }
}

/// Makes sure that a server can be started.
///
/// # Errors
/// It cannot be built or installed.
pub(super) fn prepare_server(root: &Path, kind: Kind) -> Result<()> {
    let tools: &[&Tool<'_>] = match kind {
        Kind::Hearth => {
            if let Err(Missing::NotInstalled(why)) = need(&[&STRACE]) {
                // the scenarios that need it are skipped and say so
                eprintln!("cargo dev: {why}");
            }
            return shell::run(&mut shell::cargo(
                root,
                &["build", "--release", "--quiet", "--package", "hearth"],
            ));
        }
        Kind::Prosody => &[&PROSODY, &OPENSSL],
        Kind::Ejabberd => &[&EJABBERD, &OPENSSL],
    };
    need(tools).map_err(|Missing::NotInstalled(why)| anyhow::anyhow!(why))
}

/// Runs `cargo deny`, built into `target/tools` when it is not there yet.
///
/// # Errors
/// It cannot be had, or finds something.
pub(super) fn cargo_deny(root: &Path, arguments: &[&str]) -> Result<()> {
    let program = find_cargo_deny(root)?;
    shell::run(Command::new(program).current_dir(root).args(arguments))
}

/// Where `cargo-deny` is.
///
/// # Errors
/// It cannot be built.
pub(super) fn find_cargo_deny(root: &Path) -> Result<PathBuf> {
    let tools = root.join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    if shell::has("cargo-deny") {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let mut install =
        shell::cargo(root, &["install", "--locked", "--quiet", "--no-default-features", "--root"]);
    install.arg(&tools).args(["cargo-deny", "--version", CARGO_DENY_VERSION]).env_remove("CARGO_TARGET_DIR");
    // A developer's tool: built quickly rather than well.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    shell::run(&mut install)?;
    Ok(program)
}
