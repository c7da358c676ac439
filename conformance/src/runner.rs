//! Runs scenarios, many at once, against one server or another, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::Target;
use crate::play::{Failure, play};
use crate::record;
use crate::scenario::{self, Scenario};
use crate::server::{Kind, Server};

/// Scenarios in play at once: most of their time they wait for the server.
const AT_ONCE_MAX: usize = 12;

/// However a scenario hangs together, it ends.
const SCENARIO_TIME_MAX: Duration = Duration::from_secs(180);

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) root: PathBuf,
    pub(crate) kind: Kind,
    /// A server that runs already.
    pub(crate) target: Option<Target>,
    /// Only scenarios whose path contains one of these; all when empty.
    pub(crate) filters: Vec<String>,
    /// Run the scenarios that are said to differ, to see whether they still do.
    pub(crate) differing: bool,
    /// Tell of each scenario, not only of those that fail.
    pub(crate) verbose: bool,
}

/// How a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) not_run: usize,
}

/// Runs the order; each failure is printed with its transcript, then the counts.
///
/// # Errors
/// Bad scenario files, or a server that does not start.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
pub(crate) fn run(order: &Order) -> Result<Outcome> {
    let (chosen, not_run) = choose(order)?;
    let sent = record::folder(&order.root, order.kind.name());
    if order.filters.is_empty() && sent.exists() {
        std::fs::remove_dir_all(&sent).with_context(|| format!("cannot empty {}", sent.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut outcome = Outcome { not_run, ..Outcome::default() };
    let started = Instant::now();
    for (variant, scenarios) in by_variant(chosen) {
        let server = match &order.target {
            Some(_) => None,
            None => Some(start(order, variant.as_deref())?),
        };
        let Some(target) = order.target.as_ref().or(server.as_ref().map(|server| &server.target)) else {
            bail!("no server");
        };
        let part = runtime.block_on(async {
            tokio::select! {
                part = play_all(scenarios, target, order, &sent) => Ok(part),
                // Taken here so that the server is stopped before we go.
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            }
        })?;
        outcome.passed += part.passed;
        outcome.failed += part.failed;
        if part.failed > 0
            && let Some(server) = &server
        {
            keep_logs(order, server.folder(), variant.as_deref())?;
        }
    }
    println!(
        "scenarios on {}: {} passed, {} failed ({} not run there, {:.1} s)",
        order.kind.name(),
        outcome.passed,
        outcome.failed,
        outcome.not_run,
        started.elapsed().as_secs_f32()
    );
    Ok(outcome)
}

/// The scenarios to run, and how many of those that were asked for are not run there.
fn choose(order: &Order) -> Result<(Vec<Scenario>, usize)> {
    let all = scenario::all(&order.root.join("conformance/scenarios"))
        .map_err(|mistakes| anyhow::anyhow!("bad scenario files:\n{}", mistakes.join("\n")))?;
    let wanted = |scenario: &Scenario| {
        order.filters.is_empty() || order.filters.iter().any(|filter| scenario.path.contains(filter))
    };
    let (run, not_run): (Vec<_>, Vec<_>) =
        all.into_iter().filter(wanted).partition(|scenario| runs_on(scenario, order));
    if run.is_empty() && not_run.is_empty() {
        bail!("no scenario has a path with {:?}", order.filters);
    }
    Ok((run, not_run.len()))
}

fn runs_on(scenario: &Scenario, order: &Order) -> bool {
    if order.kind == Kind::Hearth {
        return order.target.is_none() || scenario.header.server.is_none();
    }
    let differs = scenario.header.differs.contains_key(order.kind.name());
    scenario.header.hearth_only.is_none() && (differs == order.differing)
}

fn by_variant(scenarios: Vec<Scenario>) -> BTreeMap<Option<String>, Vec<Scenario>> {
    let mut variants: BTreeMap<Option<String>, Vec<Scenario>> = BTreeMap::new();
    for scenario in scenarios {
        variants.entry(scenario.header.server.clone()).or_default().push(scenario);
    }
    variants
}

fn start(order: &Order, variant: Option<&str>) -> Result<Server> {
    let extra = variant.map(|name| order.root.join("conformance/servers").join(format!("{name}.toml")));
    if let Some(extra) = &extra
        && !extra.exists()
    {
        bail!("{} does not exist", extra.display());
    }
    let name = format!("{}-{}", order.kind.name(), variant.unwrap_or("default"));
    Server::start(order.kind, &order.root, &name, extra.as_deref())
}

/// What a server wrote besides its data, kept for whoever looks into a failure.
fn keep_logs(order: &Order, folder: &Path, variant: Option<&str>) -> Result<()> {
    let name = format!("{}-{}", order.kind.name(), variant.unwrap_or("default"));
    let kept = order.root.join("target/conformance/logs").join(name);
    std::fs::create_dir_all(&kept)?;
    for place in [folder.to_path_buf(), folder.join("logs")] {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log")
                && let Some(name) = path.file_name()
            {
                std::fs::copy(&path, kept.join(name))?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
async fn play_all(scenarios: Vec<Scenario>, target: &Target, order: &Order, sent: &Path) -> Outcome {
    let seats = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut plays = JoinSet::new();
    for scenario in scenarios {
        let (seats, target, sent) = (Arc::clone(&seats), target.clone(), sent.to_path_buf());
        plays.spawn(async move {
            let seat = seats.acquire_owned().await;
            let result = play_one(&scenario, &target, &sent).await;
            drop(seat);
            (scenario, result)
        });
    }
    let mut outcome = Outcome::default();
    let mut failed = BTreeSet::new();
    while let Some(done) = plays.join_next().await {
        match done {
            Ok((scenario, Ok(()))) => {
                outcome.passed += 1;
                if order.verbose {
                    println!("  ok      {}", scenario.path);
                }
            }
            Ok((scenario, Err(failure))) => {
                outcome.failed += 1;
                print!("{}", told(&scenario, &failure));
                failed.insert(scenario.path);
            }
            Err(error) => {
                outcome.failed += 1;
                println!("  FAILED  a scenario's task: {error}");
            }
        }
    }
    for path in failed {
        println!("  FAILED  {path}");
    }
    outcome
}

async fn play_one(scenario: &Scenario, target: &Target, sent_folder: &Path) -> Result<(), Failure> {
    let failure = |why: String| Failure { line: 1, why, transcript: String::new() };
    let played = tokio::time::timeout(SCENARIO_TIME_MAX, play(scenario, target)).await;
    let (result, sent) = played.map_err(|_| failure("the scenario takes too long".to_owned()))?;
    record::write(sent_folder, &scenario.path, &sent).map_err(|error| failure(error.to_string()))?;
    result
}

fn told(scenario: &Scenario, failure: &Failure) -> String {
    let Failure { line, why, transcript } = failure;
    let path = &scenario.path;
    let title = &scenario.header.title;
    format!(
        "  FAILED  conformance/scenarios/{path}:{line}: {title}\n      {why}\n    transcript:\n{transcript}\n"
    )
}
