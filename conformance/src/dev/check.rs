//! `cargo dev check`: all steps in order, each told with its outcome; nothing is checked elsewhere.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::tools::{self, Missing};
use super::{interop, root, schema, shell};
use crate::runner::{self, Order, Outcome};
use crate::server::Kind;

/// Which steps are taken.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Leave out a step (may be repeated)
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Only this step (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
}

/// What became of a step.
enum Verdict {
    Passed,
    /// A tool is missing; good enough for a developer, not for CI.
    Skipped(String),
    Failed(String),
}

type Take = fn(&Path) -> Verdict;

/// The steps, in order: cheap ones first.
const STEPS: &[(&str, Take)] = &[
    ("fmt", |root| cargo(root, &["fmt", "--all", "--check"])),
    ("clippy", |root| {
        let all = ["clippy", "--quiet", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo(root, &all)
    }),
    ("test", test),
    ("deny", deny),
    ("scenarios", |root| scenarios(root, Kind::Hearth)),
    ("schema", validate),
    ("prosody", |root| scenarios(root, Kind::Prosody)),
    ("ejabberd", |root| scenarios(root, Kind::Ejabberd)),
    ("interop", clients),
];

/// Takes the steps and tells how each went.
///
/// # Errors
/// One of them failed, or was skipped in CI.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
pub(super) fn check(arguments: &CheckArguments) -> Result<()> {
    let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) =
        arguments.skip.iter().chain(&arguments.only).find(|name| !known.contains(&name.as_str()))
    {
        bail!("no step {unknown}; the steps are {}", known.join(", "));
    }
    let root = root();
    let (mut passed, mut failed) = (0, 0);
    let mut lines = Vec::new();
    for (name, take) in STEPS {
        let name = (*name).to_owned();
        if arguments.skip.contains(&name) || (!arguments.only.is_empty() && !arguments.only.contains(&name)) {
            continue;
        }
        println!("=== {name}");
        let started = Instant::now();
        let verdict = take(&root);
        let seconds = started.elapsed().as_secs();
        let told = match in_ci(verdict) {
            Verdict::Passed => {
                passed += 1;
                format!("passed   {name} ({seconds} s)")
            }
            Verdict::Skipped(why) => format!("SKIPPED  {name}: {why}"),
            Verdict::Failed(why) => {
                failed += 1;
                format!("FAILED   {name} ({seconds} s): {why}")
            }
        };
        println!("=== {told}");
        lines.push(told);
    }
    println!("\n{}\ncheck: {passed} passed, {failed} failed", lines.join("\n"));
    if failed > 0 {
        bail!("{failed} steps failed");
    }
    Ok(())
}

/// In CI nothing may go unchecked.
fn in_ci(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Skipped(why) if std::env::var("CI").is_ok_and(|value| value == "true") => {
            Verdict::Failed(why)
        }
        other => other,
    }
}

fn verdict(result: Result<()>) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> Verdict {
    verdict(shell::run(&mut shell::cargo(root, arguments)))
}

fn deny(root: &Path) -> Verdict {
    match tools::find_cargo_deny(root) {
        Ok(_) => verdict(tools::cargo_deny(
            root,
            &["--log-level", "error", "check", "bans", "licenses", "sources"],
        )),
        Err(error) => Verdict::Skipped(format!("cargo-deny cannot be built: {error:#}")),
    }
}

fn scenarios(root: &Path, kind: Kind) -> Verdict {
    if let Err(error) = tools::prepare_server(root, kind) {
        return match kind {
            Kind::Hearth => Verdict::Failed(format!("{error:#}")),
            Kind::Prosody | Kind::Ejabberd => Verdict::Skipped(format!("{error:#}")),
        };
    }
    // The others are asked only about the RFCs: which XEPs they have is their affair.
    let filters = match kind {
        Kind::Hearth => Vec::new(),
        Kind::Prosody | Kind::Ejabberd => vec!["rfc6120/".to_owned(), "rfc6121/".to_owned()],
    };
    let order =
        Order { root: root.to_path_buf(), kind, target: None, filters, differing: false, verbose: false };
    match runner::run(&order) {
        Ok(Outcome { failed: 0, skipped, .. }) if skipped.is_empty() => Verdict::Passed,
        Ok(Outcome { failed: 0, skipped, .. }) => Verdict::Skipped(skipped.join("; ")),
        Ok(Outcome { failed, .. }) => Verdict::Failed(format!("{failed} scenarios failed")),
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}

fn test(root: &Path) -> Verdict {
    // the samples of the schemas are tested with it; where it cannot be installed, that test fails and says so
    if let Err(Missing::NotInstalled(why)) = tools::need(&[&tools::XMLLINT]) {
        eprintln!("{why}");
    }
    cargo(root, &["test", "--quiet", "--release", "--workspace"])
}

fn validate(root: &Path) -> Verdict {
    match tools::need(&[&tools::XMLLINT]) {
        Ok(()) => verdict(schema::validate(root)),
        Err(Missing::NotInstalled(why)) => Verdict::Skipped(why),
    }
}

fn clients(root: &Path) -> Verdict {
    match interop::run(root, None) {
        Ok(outcome) if !outcome.failed.is_empty() => Verdict::Failed(outcome.failed.join(", ")),
        Ok(outcome) if !outcome.skipped.is_empty() => Verdict::Skipped(outcome.skipped.join(", ")),
        Ok(_) => Verdict::Passed,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}
