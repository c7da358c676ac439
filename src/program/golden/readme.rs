//! The generated parts of the README.

use std::fmt::Write as _;

use hearth_core::module::Support;

use super::{golden_between, xeps};
use crate::program::cli;
use crate::program::modules::{self, Sections};

#[test]
fn the_readme_lists_the_extensions() {
    let mut table = String::from("| XEP | Version | Support | Title |\n| --- | --- | --- | --- |\n");
    for xep in xeps() {
        let support = match xep.support {
            Support::Complete => "complete",
            Support::Partial => "partial",
        };
        let number = format!("[{0:04}](https://xmpp.org/extensions/xep-{0:04}.html)", xep.number);
        let _ = writeln!(table, "| {number} | {} | {support} | {} |", xep.version, xep.title);
    }
    golden_between("README.md", "extensions", &table);
}

#[test]
fn the_readme_lists_the_commands() {
    let plan = modules::plan(&Sections::new()).unwrap();
    golden_between("README.md", "commands", &format!("```text\n{}\n```\n", cli::overview(&plan)));
}
