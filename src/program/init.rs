//! `hearth init`: an explicit beginning. Makes what is missing and never touches what is there.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use hearth_store::inspect;

use super::config::{Config, Loaded, Sources, document, load};
use super::{data, modules};

/// The configuration that is written where there is none.
const CONFIG: &str = "config.toml";

/// Makes a configuration where there is none, and the data directory with an empty database.
///
/// # Errors
/// Something is in the way.
pub(crate) fn run(mut sources: Sources) -> anyhow::Result<ExitCode> {
    if sources.files.is_empty() && load(&sources).is_err() && !Path::new(CONFIG).exists() {
        write_config(Path::new(CONFIG))?;
        sources.files.push(CONFIG.into());
    }
    let Loaded { mut config, plan, .. } = load(&sources)?;
    let directory = config.data.directory.display().to_string();
    if inspect(&data::options(&config), &modules::migrations(&plan))?.exists {
        say(&format!("There is a database in {directory} already; nothing was changed."));
        return Ok(ExitCode::SUCCESS);
    }
    config.data.create = true;
    let store = data::open(&config, &plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(store.close())?;
    say(&format!(
        "An empty database was made in {directory}. `hearth check` looks at the rest, `hearth` starts."
    ));
    Ok(ExitCode::SUCCESS)
}

/// Writes the default configuration: without `create`, because from here on the data is there.
fn write_config(path: &Path) -> anyhow::Result<()> {
    let plan = modules::plan(&modules::Sections::new())?;
    let text = document(&Config::default(), plan.config());
    let mut file = std::fs::File::create_new(path).with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?;
    say(&format!("{} was written; it explains every setting.", path.display()));
    Ok(())
}

fn say(line: &str) {
    // where nobody reads, there is nobody to tell
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_made_once_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(CONFIG);
        write_config(&file).unwrap();
        assert!(write_config(&file).is_err(), "what is there is not overwritten");
        let sources = Sources { files: vec![file], ..Sources::default() };
        let database = dir.path().join("data/hearth.db");
        assert_eq!(run(sources.clone()).unwrap(), ExitCode::SUCCESS);
        let made = std::fs::metadata(&database).unwrap().modified().unwrap();
        assert_eq!(run(sources).unwrap(), ExitCode::SUCCESS);
        assert_eq!(std::fs::metadata(&database).unwrap().modified().unwrap(), made);
    }
}
