//! What became of a command that was given in parts: one answer for all of them.

use crate::program::door::protocol::{Kind, Response};

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Sum {
    text: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    failed: Option<(Kind, String)>,
}

impl Sum {
    /// Adds the answer to a part, which held the lines from the first to the second number. Whether the next part may be
    /// given.
    pub(super) fn add(&mut self, response: Response, lines: Option<(usize, usize)>) -> bool {
        match response {
            Response::Done { text, columns, rows } => {
                // of what is said, the last word counts: it is said of the state there is now
                (self.text, self.columns) = (text, columns);
                let before = self.rows.len();
                rows.into_iter().for_each(|row| self.add_row(row, before));
                true
            }
            Response::Failed { kind, text } => {
                let text = match lines {
                    Some((first, last)) => format!("lines {first} to {last}: {text}"),
                    None => text,
                };
                self.failed = Some((kind, text));
                false
            }
        }
    }

    /// Counts of the same are added up.
    fn add_row(&mut self, row: Vec<String>, before: usize) {
        let known = self.rows.iter_mut().take(before).find(|known| known.first() == row.first());
        let count = |row: &[String]| row.get(1).and_then(|cell| cell.parse::<u64>().ok());
        match known {
            Some(known) => {
                if let (Some(a), Some(b), Some(cell)) = (count(known), count(&row), known.get_mut(1)) {
                    *cell = a.saturating_add(b).to_string();
                }
            }
            None => self.rows.push(row),
        }
    }

    /// What was done so far, in words; empty if nothing was.
    pub(super) fn done(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| row.join(": ")).collect();
        if rows.is_empty() { String::new() } else { format!("; done before that: {}", rows.join(", ")) }
    }

    /// The answer to the whole.
    pub(super) fn told(self) -> Response {
        let done = self.done();
        match self.failed {
            Some((kind, text)) => Response::Failed { kind, text: text + &done },
            None => Response::Done { text: self.text, columns: self.columns, rows: self.rows },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(made: u64, text: &str) -> Response {
        let row = |what: &str, count: u64| vec![what.to_owned(), count.to_string()];
        let columns = vec!["accounts".to_owned(), "number".to_owned()];
        Response::Done { text: text.to_owned(), columns, rows: vec![row("made", made), row("there", 1)] }
    }

    #[test]
    fn all_parts_are_told_as_one() {
        let mut sum = Sum::default();
        assert!(
            sum.add(part(5_000, "first"), Some((1, 5_000)))
                && sum.add(part(17, "last"), Some((5_001, 5_020)))
        );
        let Response::Done { text, rows, .. } = sum.told() else { panic!("failed") };
        assert_eq!(
            (text.as_str(), rows),
            ("last", vec![vec!["made".to_owned(), "5017".into()], vec!["there".into(), "2".into()]])
        );
    }

    #[test]
    fn a_refusal_tells_which_lines_and_what_was_done_before() {
        let mut sum = Sum::default();
        sum.add(part(5_000, ""), Some((1, 5_000)));
        assert!(!sum.add(Response::failed(Kind::NotFound, "no host"), Some((5_001, 5_020))));
        let told = "lines 5001 to 5020: no host; done before that: made: 5000, there: 1";
        assert_eq!(sum.told(), Response::failed(Kind::NotFound, told));
    }

    #[test]
    fn an_answer_in_one_part_stays_as_it_is() {
        let mut sum = Sum::default();
        let twice = vec![vec!["a".to_owned(), "1".into()], vec!["a".to_owned(), "2".into()]];
        let answer = || Response::Done {
            text: "t".into(),
            columns: vec!["x".into(), "y".into()],
            rows: twice.clone(),
        };
        assert!(sum.add(answer(), None));
        assert_eq!(sum.told(), answer());
    }
}
