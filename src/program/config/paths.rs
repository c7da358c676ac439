//! Where the configuration is looked for.

use std::path::{Path, PathBuf};

use super::problem::{Problem, Problems};

/// Looked for when no file is named: here, then where a package puts it.
const PLACES: [&str; 2] = ["config.toml", "/etc/hearth/config.toml"];

/// The file that is used when none is named.
///
/// # Errors
/// [`Problems`] that say what to do if there is none.
pub(crate) fn find() -> Result<PathBuf, Problems> {
    find_among(&PLACES.map(Path::new))
}

fn find_among(places: &[&Path]) -> Result<PathBuf, Problems> {
    if let Some(found) = places.iter().find(|path| path.exists()) {
        return Ok((*found).to_owned());
    }
    let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    let text = format!("there is no configuration: looked for {}", looked.join(" and "));
    let fix =
        "`hearth init` writes one into the current directory; `hearth --config FILE` names another place";
    Err(Problem::new(None, text, fix).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_is_there_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        assert!(find_among(&[&a, &b]).unwrap_err().to_string().contains("hearth init"));
        std::fs::write(&b, "").unwrap();
        assert_eq!(find_among(&[&a, &b]).unwrap(), b);
    }
}
