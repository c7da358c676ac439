//! Files that are made from the code and reviewed in its changes. `BLESS=1` writes them anew.

mod doap;
mod readme;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hearth_core::module::{Support, Xep};

use super::config::{Config, Sources, document, load};
use super::modules::{self, Sections};

/// What the core and the transports do themselves, below any module.
const BELOW_MODULES: [Xep; 2] = [
    Xep {
        number: 175,
        version: "1.2",
        support: Support::Complete,
        title: "Best Practices for Use of SASL ANONYMOUS",
    },
    Xep { number: 368, version: "1.1.0", support: Support::Partial, title: "SRV records for XMPP over TLS" },
];

/// Every extension, by number.
fn xeps() -> Vec<Xep> {
    let plan = modules::plan(&Sections::new()).unwrap();
    let mut xeps = [plan.xeps(), &BELOW_MODULES].concat();
    xeps.sort_by_key(|xep| xep.number);
    xeps
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Tests run side by side, and some have parts of one file.
static FILES: Mutex<()> = Mutex::new(());

/// Compares a file with what it should be, or writes it.
#[track_caller]
fn golden(path: &str, expected: &str) {
    let _held = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    compare(path, expected);
}

#[track_caller]
fn compare(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not what the code makes; `cargo dev bless` writes it anew\n{expected}"
    );
}

/// Compares what stands between two markers of a file, or writes it there.
#[track_caller]
fn golden_between(path: &str, marker: &str, expected: &str) {
    let _held = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let file = root().join(path);
    let text = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- {marker}: made by a test -->\n"), format!("<!-- /{marker} -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{path} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{path} has no {end}"));
    compare(path, &format!("{before}{begin}{expected}{end}{after}"));
}

#[test]
fn the_shipped_configuration_is_made_from_the_types() {
    let plan = modules::plan(&Sections::new()).unwrap();
    golden("config.toml", &document(&Config::shipped(), plan.config()));
}

#[test]
fn the_shipped_configuration_means_the_defaults() {
    let plan = modules::plan(&Sections::new()).unwrap();
    let text = document(&Config::shipped(), plan.config());
    let mut read: Config = toml::from_str(&text).unwrap();
    for section in plan.config() {
        assert_eq!(read.xep.remove(section.name).as_ref(), Some(&section.default), "{}", section.name);
    }
    assert_eq!(read, Config::shipped());
    let sources = Sources { files: vec![root().join("config.toml")], ..Sources::default() };
    load(&sources).unwrap();
}

#[tokio::test]
async fn the_tables_are_reviewed() {
    let plan = modules::plan(&Sections::new()).unwrap();
    let store = hearth_store::Store::in_memory(&modules::migrations(&plan)).unwrap();
    golden("schemas/sql/sqlite.sql", &store.schema_dump().await.unwrap());
}
