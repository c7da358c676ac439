//! The frozen plan of all modules is the reviewed file `xep/plan.txt`: a reorder, a new owner or a lost feature is a
//! difference there. `BLESS=1` writes it anew.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use hearth_core::plan::Plan;
use hearth_core::{admin, im};

#[test]
fn the_plan_is_the_one_that_was_reviewed() {
    let modules = [&[im::MODULE, admin::MODULE], hearth_xep::MODULES].concat();
    let plan = Plan::build(&modules, &BTreeMap::new()).unwrap().describe();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/plan.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &plan).unwrap();
    }
    let reviewed = std::fs::read_to_string(file).unwrap();
    assert_eq!(plan, reviewed, "the plan changed: look at the difference, then run the test with BLESS=1");
}
