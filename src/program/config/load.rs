//! From files and environment to a configuration that the server may start with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use hearth_core::live;
use hearth_core::module::SetupError;
use hearth_core::plan::{ConfigSection, Plan};
use toml::Table;

use super::judge::Objection;
use super::layer::{self, Layer};
use super::problem::{Problem, Problems};
use super::{Config, judge, overrides, paths, unknown, values};
use crate::program::modules;

/// What to do where nothing better is known.
const SEE_SHIPPED: &str = "the shipped config.toml shows every setting as it is written";

/// Where settings come from. A reload reads the same again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The files, a later one over an earlier one. Empty: looked for in the usual places.
    pub(crate) files: Vec<PathBuf>,
    /// The variables of the environment.
    pub(crate) variables: HashMap<String, String>,
}

impl Sources {
    /// These files, and the environment of this process.
    pub(crate) fn of_process(files: Vec<PathBuf>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { files, variables: variables.collect() }
    }
}

/// A configuration without mistakes, and what the modules made of it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// The plan with the modules' settings.
    pub(crate) plan: Plan,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// What is no mistake, but was probably meant otherwise.
    pub(crate) doubts: Vec<Problem>,
}

/// Reads and judges the configuration.
///
/// # Errors
/// [`Problems`]: everything that was found, with file and line.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let (files, layers) = layers(sources)?;
    let mut config = interpret(&layers)?;
    let plan = modules::plan(&config.xep).map_err(|error| Problems::from(of_plan(&layers, &error)))?;
    config.root_at(&base(&files)?);
    let sections = plan.config().iter();
    let mut settings = unknown::paths(&schemars::schema_for!(Config), "");
    settings
        .extend(sections.flat_map(|known| unknown::paths(&known.schema, &layer::join("xep", known.name))));
    let doubts = overrides::doubtful(sources.variables.keys(), &settings);
    Ok(Loaded { config, plan, files, doubts })
}

/// The path of the local socket, as far as it can be read out of a configuration with mistakes.
pub(crate) fn socket(sources: &Sources) -> Option<PathBuf> {
    let (files, layers) = layers(sources).ok()?;
    let mut config = Config::default();
    let path = |section, key| text(&layers, section, key).map(PathBuf::from);
    config.data.directory = path("data", "directory").unwrap_or(config.data.directory);
    config.admin.socket = path("admin", "socket");
    config.root_at(&base(&files).ok()?);
    Some(config.socket())
}

/// Whether programs read the log, as far as that can be read out of a configuration with mistakes.
pub(crate) fn is_json(sources: &Sources) -> bool {
    let of_variables = |_| vec![overrides::read(sources.variables.clone().into_iter())];
    let layers = layers(sources).map_or_else(of_variables, |(_, layers)| layers);
    text(&layers, "log", "format") == Some("json")
}

/// A text of the last layer that has it.
fn text<'l>(layers: &'l [Layer], section: &str, key: &str) -> Option<&'l str> {
    layers.iter().rev().find_map(|layer| layer.table.get(section)?.get(key)?.as_str())
}

/// The files, and all layers of settings.
fn layers(sources: &Sources) -> Result<(Vec<PathBuf>, Vec<Layer>), Problems> {
    let files = if sources.files.is_empty() { vec![paths::find()?] } else { sources.files.clone() };
    let mut layers = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    layers.push(overrides::read(sources.variables.clone().into_iter()));
    Ok((files, layers))
}

fn read(file: &Path) -> Result<Layer, Problems> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problem::new(
            Some(name.clone()),
            format!("cannot be read: {error}"),
            "name another file with --config",
        )
    })?;
    Ok(Layer::parse(&name, &text)?)
}

/// The directory that relative paths begin at: that of the first file, wherever the server is started.
fn base(files: &[PathBuf]) -> Result<PathBuf, Problems> {
    let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new("."));
    let absolute = std::path::absolute(first)
        .map_err(|error| Problem::new(None, format!("the current directory: {error}"), "start elsewhere"))?;
    Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
}

fn interpret(layers: &[Layer]) -> Result<Config, Problems> {
    let mut table = Table::new();
    for layer in layers {
        layer::merge(&mut table, layer.table.clone());
    }
    let misfits = misfits(layers, &table);
    if !misfits.is_empty() {
        return Err(Problems(misfits));
    }
    let config: Config = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        Problem::new(layer::place(layers, &path), format!("{path}: {}", error.inner().message()), SEE_SHIPPED)
    })?;
    let objections: Vec<Problem> =
        judge::judge(&config).into_iter().map(|objection| objected(layers, objection)).collect();
    if objections.is_empty() { Ok(config) } else { Err(Problems(objections)) }
}

fn objected(layers: &[Layer], objection: Objection) -> Problem {
    let place = layer::place(layers, &objection.path);
    Problem::new(place, format!("{}: {}", objection.path, objection.text), objection.fix)
}

/// Keys that nobody knows and values of a wrong type, in our own sections and in those of the modules.
fn misfits(layers: &[Layer], table: &Table) -> Vec<Problem> {
    let mut own = table.clone();
    let xep = own.remove("xep");
    let schema = schemars::schema_for!(Config);
    let (mut unknown, mut wrong) = (unknown::keys(&own, &schema, ""), values::wrong(&own, &schema, ""));
    // without settings no module can object; and if one does, the start will say so
    let plan = modules::plan(&modules::Sections::new()).ok();
    let known = plan.as_ref().map_or(&[][..], Plan::config);
    if let Some(toml::Value::Table(sections)) = &xep {
        unknown.extend(sections.iter().flat_map(|(name, section)| in_section(name, section, known)));
        for known in known {
            if let Some(toml::Value::Table(section)) = sections.get(known.name) {
                wrong.extend(values::wrong(section, &known.schema, &layer::join("xep", known.name)));
            }
        }
    }
    let unknown = unknown.into_iter().map(|unknown| to_problem(layers, unknown));
    // a value that is no section is told by then
    let told: Vec<Problem> = unknown.collect();
    let wrong = wrong.into_iter().filter(|objection| {
        let place = layer::place(layers, &objection.path);
        place.is_none() || told.iter().all(|problem| problem.place != place)
    });
    let wrong: Vec<Problem> = wrong.map(|objection| objected(layers, objection)).collect();
    told.into_iter().chain(wrong).collect()
}

fn in_section(name: &str, section: &toml::Value, known: &[ConfigSection]) -> Vec<unknown::Unknown> {
    let path = layer::join("xep", name);
    match (known.iter().find(|known| known.name == name), section) {
        (Some(known), toml::Value::Table(section)) => unknown::keys(section, &known.schema, &path),
        // not a table: the types will say so
        (Some(_), _) => Vec::new(),
        (None, _) => {
            let meant = unknown::nearest(name, known.iter().map(|known| known.name));
            vec![unknown::Unknown::Key(path, meant)]
        }
    }
}

fn to_problem(layers: &[Layer], unknown: unknown::Unknown) -> Problem {
    use unknown::Unknown::{Key, Section, Sections};
    let (path, text, fix) = match unknown {
        Key(path, meant) => {
            let fix = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "remove it; the shipped config.toml shows all settings".to_owned(),
            };
            let text = format!("there is no setting `{path}`");
            (path, text, fix)
        }
        Section(path) => {
            let (text, fix) = (format!("`{path}` is a section"), format!("begin it with [{path}]"));
            (path, text, fix)
        }
        Sections(path) => {
            let (text, fix) =
                (format!("there may be several `{path}`"), format!("begin each with [[{path}]]"));
            (path, text, fix)
        }
    };
    Problem::new(layer::place(layers, &path), text, fix)
}

fn of_plan(layers: &[Layer], error: &SetupError) -> Problem {
    match error {
        SetupError::Config { section, key, .. } => {
            let path = layer::join("xep", section);
            let place = layer::place(layers, &if key.is_empty() { path } else { layer::join(&path, key) });
            Problem::new(place, error.to_string(), SEE_SHIPPED)
        }
        SetupError::Invalid { module, objection: live::Objection { key, text, fix } } => {
            let path = layer::join(&layer::join("xep", module), key);
            objected(layers, Objection { path, text: text.clone(), fix: fix.clone() })
        }
        SetupError::TwoOwners { .. } | SetupError::Missing { .. } | SetupError::Order { .. } => {
            Problem::new(None, error.to_string(), "install another version: this one has a fault")
        }
    }
}

#[cfg(test)]
mod tests;
