//! Runs scenarios, many at once, against one server or another, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::Target;
use crate::play::{Failure, Played, play};
use crate::scenario::{self, Scenario};
use crate::secrets::Secrets;
use crate::server::{Kind, Server, Setup};
use crate::{faults, record};

/// Servers that run at once.
const SERVERS_MAX: usize = 4;

/// Scenarios in play at once on one server: most of their time they wait for it.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) not_run: usize,
    /// What cannot be run on this machine, with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Scenarios that share a server.
struct Group {
    name: String,
    setup: Setup,
    scenarios: Vec<Scenario>,
}

/// Runs the order; each failure is printed with its transcript, then the counts.
///
/// # Errors
/// Bad scenario files, or a server that does not start.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
pub(crate) fn run(order: &Order) -> Result<Outcome> {
    let (chosen, not_run) = choose(order)?;
    let (chosen, skipped) = without_the_impossible(chosen);
    let sent = record::folder(&order.root, order.kind.name());
    if order.filters.is_empty() && sent.exists() {
        std::fs::remove_dir_all(&sent).with_context(|| format!("cannot empty {}", sent.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut outcome = Outcome { not_run, skipped, ..Outcome::default() };
    let started = Instant::now();
    let groups = groups(chosen, &order.root)?;
    let order = Arc::new(order.clone());
    let part = runtime.block_on(async {
        tokio::select! {
            part = play_groups(groups, &order) => part,
            // Taken here so that the servers are stopped before we go.
            why = interrupted() => Err(why),
        }
    });
    // whatever was under way is dropped with it, servers included
    drop(runtime);
    let part = part?;
    outcome.passed += part.passed;
    outcome.failed += part.failed;
    for skipped in &outcome.skipped {
        println!("  SKIPPED {skipped}");
    }
    println!(
        "scenarios on {}: {} passed, {} failed, {} skipped ({} not run there, {:.1} s)",
        order.kind.name(),
        outcome.passed,
        outcome.failed,
        outcome.skipped.len(),
        outcome.not_run,
        started.elapsed().as_secs_f32()
    );
    Ok(outcome)
}

/// Somebody wants us to end.
async fn interrupted() -> anyhow::Error {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return error.into(),
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    anyhow::anyhow!("interrupted")
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
        return order.target.is_none() || (scenario.header.server.is_none() && scenario.header.own.is_none());
    }
    let differs = scenario.header.differs.contains_key(order.kind.name());
    scenario.header.hearth_only.is_none() && (differs == order.differing)
}

/// Leaves out what this machine does not let us do, and says so.
fn without_the_impossible(scenarios: Vec<Scenario>) -> (Vec<Scenario>, Vec<String>) {
    let why_not = |needed: bool, can: fn() -> Result<()>| match needed.then(can) {
        Some(Err(error)) => Some(format!("{error:#}")),
        _ => None,
    };
    let fills = |scenario: &Scenario| scenario.header.own.as_ref().is_some_and(|own| own.disk_mb.is_some());
    let traces = |scenario: &Scenario| scenario.faults().any(|(_, fault)| fault.traces());
    let no_disk = why_not(scenarios.iter().any(fills), faults::can_fill);
    let no_trace = why_not(scenarios.iter().any(traces), faults::can_slow_down);
    let (mut possible, mut skipped) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        let why = match (&no_disk, &no_trace) {
            (Some(why), _) if fills(&scenario) => why,
            (_, Some(why)) if traces(&scenario) => why,
            _ => {
                possible.push(scenario);
                continue;
            }
        };
        skipped.push(format!("{}: {why}", scenario.path));
    }
    (possible, skipped)
}

/// Who shares a server with whom: the largest group first, then those that have one to themselves, then the variants.
fn groups(scenarios: Vec<Scenario>, root: &Path) -> Result<Vec<Group>> {
    let mut shared: BTreeMap<Option<String>, Vec<Scenario>> = BTreeMap::new();
    let mut groups = Vec::new();
    for scenario in scenarios {
        let Some(own) = scenario.header.own.clone() else {
            shared.entry(scenario.header.server.clone()).or_default().push(scenario);
            continue;
        };
        let (name, setup) = (format!("own-{}", groups.len()), Setup { own: Some(own), variant: None });
        groups.push(Group { name, setup, scenarios: vec![scenario] });
    }
    if let Some(scenarios) = shared.remove(&None) {
        groups.insert(0, Group { name: "default".to_owned(), setup: Setup::default(), scenarios });
    }
    for (name, scenarios) in shared {
        let name = name.unwrap_or_default();
        let variant = root.join("conformance/servers").join(format!("{name}.toml"));
        if !variant.exists() {
            bail!("{} does not exist", variant.display());
        }
        groups.push(Group { name, setup: Setup { variant: Some(variant), own: None }, scenarios });
    }
    Ok(groups)
}

/// Plays the groups, a few at a time.
async fn play_groups(groups: Vec<Group>, order: &Arc<Order>) -> Result<Outcome> {
    let seats = Arc::new(Semaphore::new(SERVERS_MAX));
    let mut plays = JoinSet::new();
    for group in groups {
        let (seats, order) = (Arc::clone(&seats), Arc::clone(order));
        plays.spawn(async move {
            let _seat = seats.acquire_owned().await?;
            play_group(group, &order).await
        });
    }
    let mut outcome = Outcome::default();
    while let Some(done) = plays.join_next().await {
        let part = done.context("a group's task")??;
        outcome.passed += part.passed;
        outcome.failed += part.failed;
    }
    Ok(outcome)
}

/// Starts the server, plays all that share it, and stops it.
#[expect(clippy::print_stdout, reason = "this is what the developer command shows")]
async fn play_group(group: Group, order: &Arc<Order>) -> Result<Outcome> {
    let Group { name, setup, scenarios } = group;
    let name = format!("{}-{name}", order.kind.name());
    if let Some(target) = &order.target {
        return Ok(play_all(scenarios, target, order, None).await.0);
    }
    let started = {
        let (order, name, setup) = (Arc::clone(order), name.clone(), setup.clone());
        tokio::task::spawn_blocking(move || Server::start(order.kind, &order.root, &name, &setup))
    };
    let server = Arc::new(started.await??);
    let own = setup.own.is_some().then(|| Arc::clone(&server));
    let is_quiet = setup.own.is_some_and(|own| own.config.iter().any(|line| line.starts_with("log.")));
    let (mut outcome, secrets) = play_all(scenarios, &server.target.clone(), order, own).await;
    if order.kind == Kind::Hearth
        && let Some(leak) = secrets.find_in(&server.log(), is_quiet)?
    {
        outcome.failed += 1;
        println!("  FAILED  the server of {name} logged what it must not: {leak}");
    }
    if let Some(panic) = server.panic() {
        outcome.failed += 1;
        println!("  FAILED  the server of {name} panicked: {panic}");
    }
    if outcome.failed > 0 {
        keep_logs(order, server.folder(), &name)?;
    }
    tokio::task::spawn_blocking(move || drop(server)).await?;
    Ok(outcome)
}

/// What a server wrote besides its data, kept for whoever looks into a failure.
fn keep_logs(order: &Order, folder: &Path, name: &str) -> Result<()> {
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
async fn play_all(
    scenarios: Vec<Scenario>,
    target: &Target,
    order: &Arc<Order>,
    own: Option<Arc<Server>>,
) -> (Outcome, Secrets) {
    let seats = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut plays = JoinSet::new();
    for scenario in scenarios {
        let (seats, target, order, own) =
            (Arc::clone(&seats), target.clone(), Arc::clone(order), own.clone());
        plays.spawn(async move {
            let seat = seats.acquire_owned().await;
            let began = Instant::now();
            let result = play_one(&scenario, &target, &order, own).await;
            drop(seat);
            (scenario, result, began.elapsed())
        });
    }
    let (mut outcome, mut secrets) = (Outcome::default(), Secrets::default());
    let mut failed = BTreeSet::new();
    while let Some(done) = plays.join_next().await {
        let done = done.map(|(scenario, (result, used), time)| {
            secrets.join(used);
            (scenario, result, time)
        });
        match done {
            Ok((scenario, Ok(()), time)) => {
                outcome.passed += 1;
                if order.verbose {
                    println!("  ok      {} ({:.1} s)", scenario.path, time.as_secs_f32());
                }
            }
            Ok((scenario, Err(failure), _)) => {
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
    (outcome, secrets)
}

async fn play_one(
    scenario: &Scenario,
    target: &Target,
    order: &Order,
    own: Option<Arc<Server>>,
) -> (Result<(), Failure>, Secrets) {
    let failure = |why: String| Failure { line: 1, why, transcript: String::new() };
    let played = tokio::time::timeout(SCENARIO_TIME_MAX, play(scenario, target, own)).await;
    let Ok(Played { result, seen, secrets }) = played else {
        return (Err(failure("the scenario takes too long".to_owned())), Secrets::default());
    };
    let folder = record::folder(&order.root, order.kind.name());
    let written = record::write(&folder, &scenario.path, &seen).map_err(|error| failure(error.to_string()));
    (written.and(result), secrets)
}

fn told(scenario: &Scenario, failure: &Failure) -> String {
    let Failure { line, why, transcript } = failure;
    let path = &scenario.path;
    let title = &scenario.header.title;
    format!(
        "  FAILED  conformance/scenarios/{path}:{line}: {title}\n      {why}\n    transcript:\n{transcript}\n"
    )
}
