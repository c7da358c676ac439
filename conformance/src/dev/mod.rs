//! `cargo dev …`: everything a developer or CI runs, behind one command.

mod check;
mod golden;
mod interop;
mod schema;
mod shell;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use crate::client::Target;
use crate::runner::{self, Order};
use crate::server::Kind;

#[derive(Debug, Parser)]
#[command(name = "cargo dev", about = "Developer commands of Hearth; see conformance/README.md")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that CI checks
    Check(check::CheckArguments),
    /// Scenarios against Hearth or another server
    Scenarios(ScenarioArguments),
    /// Run the golden tests and accept what they produce (look at the diff!)
    Bless,
    /// Build and run the server
    Run {
        /// Arguments for the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Known vulnerabilities in what we depend on (needs the network)
    Advisories,
    /// Real clients against Hearth
    Interop {
        /// Only clients whose name contains this
        filter: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct ScenarioArguments {
    /// The server to start
    #[arg(long, value_enum, default_value = "hearth")]
    server: Kind,
    /// The address of a server that runs already and allows in-band registration
    #[arg(long)]
    addr: Option<SocketAddr>,
    /// Its direct TLS port, at the same address
    #[arg(long, default_value_t = 5223)]
    tls_port: u16,
    /// Its virtual host
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// Its second virtual host
    #[arg(long, default_value = "second.localhost")]
    domain2: String,
    /// Run those that are marked as differing on that server, and nothing else
    #[arg(long)]
    differing: bool,
    /// Tell of each scenario
    #[arg(short, long)]
    verbose: bool,
    /// Only scenarios whose path contains one of these
    filters: Vec<String>,
}

/// The program `dev`.
pub fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    // This crate lies directly below it.
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Self::Check(arguments) => check::check(&arguments),
            Self::Scenarios(arguments) => arguments.run(),
            Self::Bless => golden::bless(&root()),
            Self::Run { arguments } => {
                let mut cargo = shell::cargo(&root(), &["run", "--release", "--package", "hearth", "--"]);
                shell::run(cargo.args(arguments))
            }
            Self::Advisories => tools::cargo_deny(&root(), &["check", "advisories"]),
            Self::Interop { filter } => {
                let outcome = interop::run(&root(), filter.as_deref())?;
                if outcome.failed.is_empty() {
                    Ok(())
                } else {
                    bail!("failed: {}", outcome.failed.join(", "))
                }
            }
        }
    }
}

impl ScenarioArguments {
    fn run(self) -> Result<()> {
        let root = root();
        let target = self.addr.map(|addr| Target {
            addr,
            tls_addr: SocketAddr::new(addr.ip(), self.tls_port),
            host: self.domain,
            host2: self.domain2,
        });
        if target.is_none() {
            tools::prepare_server(&root, self.server)?;
        }
        let order = Order {
            root,
            kind: self.server,
            target,
            filters: self.filters,
            differing: self.differing,
            verbose: self.verbose,
        };
        let outcome = runner::run(&order)?;
        if self.differing && outcome.passed > 0 {
            bail!("{} scenarios are marked as differing although they pass (see --verbose)", outcome.passed);
        }
        if !outcome.skipped.is_empty() && std::env::var("CI").is_ok_and(|value| value == "true") {
            bail!("{} scenarios were skipped", outcome.skipped.len());
        }
        if outcome.failed > 0 && !self.differing {
            bail!("{} scenarios failed", outcome.failed);
        }
        Ok(())
    }
}
