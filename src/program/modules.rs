//! Everything that joins the server, in order: the core's own modules, then the extensions.

use std::collections::BTreeMap;

use hearth_core::module::{Module, SetupError};
use hearth_core::plan::Plan;
use hearth_core::{account_table, admin, im};
use hearth_store::Migrations;

/// The modules' configuration: the tables under `[xep]`.
pub(crate) type Sections = BTreeMap<String, toml::Table>;

/// The frozen plan of all modules.
///
/// # Errors
/// [`SetupError`]: the server must not start.
pub(crate) fn plan(sections: &Sections) -> Result<Plan, SetupError> {
    let mut modules: Vec<Module> = vec![im::MODULE, admin::MODULE];
    modules.extend_from_slice(hearth_xep::MODULES);
    Plan::build(&modules, sections)
}

/// The tables of the core and of all modules.
pub(crate) fn migrations(plan: &Plan) -> Vec<Migrations> {
    let mut migrations = vec![account_table::MIGRATIONS];
    migrations.extend_from_slice(plan.migrations());
    migrations
}
