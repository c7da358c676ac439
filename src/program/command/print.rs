//! Answers on the screen: a sentence, a table, or JSON for programs.

use std::io::{self, Write as _};

use crate::program::door::protocol::Response;

/// Prints an answer on standard output, a refusal on standard error (as JSON, both on standard output).
///
/// # Errors
/// Nobody reads.
pub(super) fn response(response: &Response, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match response {
        response if json => out.write_all(&response.to_line()),
        Response::Failed { text, .. } => {
            eprintln!("hearth: {text}");
            Ok(())
        }
        Response::Done { text, columns, rows } => {
            out.write_all(table(columns, rows).as_bytes())?;
            if text.is_empty() { Ok(()) } else { writeln!(out, "{text}") }
        }
    }
}

/// The rows under their columns, each as wide as its widest cell.
fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let mut widths: Vec<usize> = columns.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in std::iter::once(columns).chain(rows.iter().map(Vec::as_slice)) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", shown(cell)));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// What others chose (a resource, say) must not move the cursor of an admin's terminal.
fn shown(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_harmless() {
        let cells = |row: &[&str]| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let text =
            table(&cells(&["account", "n"]), &[cells(&["a@b", "1"]), cells(&["long@example", "\u{1b}[2J"])]);
        assert_eq!(text, "account       n\na@b           1\nlong@example  \u{fffd}[2J\n");
        assert_eq!(table(&[], &[]), "");
    }
}
