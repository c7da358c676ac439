//! The program `hearth`: the only place where all parts meet. It reads the command line and does what it says.

/// Sessions come and go on several threads, in small pieces: measured beside the C library's allocator, a login costs a
/// tenth less CPU and a drained message a quarter, and what is free goes back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod program;

use std::process::ExitCode;

use clap::ArgMatches;
use hearth_core::plan::Plan;
use program::config::Sources;
use program::modules::{self, Sections};
use program::{check, cli, command, init, serve};

fn main() -> ExitCode {
    // the command line is made from what the modules offer, whatever their settings
    let plan = match modules::plan(&Sections::new()) {
        Ok(plan) => plan,
        Err(error) => return fail(&error.into()),
    };
    let matches = cli::build(&plan).get_matches();
    run(&plan, &matches).unwrap_or_else(|error| fail(&error))
}

fn run(plan: &Plan, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let sources = Sources::of_process(cli::files(matches));
    if let Some((command, matches)) = cli::chosen(plan, matches) {
        return command::run(command, matches, &sources);
    }
    match matches.subcommand_name() {
        Some("init") => init::run(sources),
        Some("check") => Ok(check::run(&sources, cli::is_offline(matches))),
        _ => serve::run(sources),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("hearth: {error:#}");
    ExitCode::FAILURE
}
