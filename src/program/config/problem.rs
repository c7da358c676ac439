//! What is wrong with a configuration, where, and how to put it right.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file and line, or the variable; `None` where it cannot be told.
    pub(crate) place: Option<String>,
    /// What is wrong.
    pub(crate) text: String,
    /// What to do; never empty.
    pub(crate) fix: String,
}

impl Problem {
    /// A mistake at a place.
    pub(crate) fn new(place: Option<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place, text: text.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{} ({})", self.text, self.fix)
    }
}

/// All mistakes that were found at once. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
