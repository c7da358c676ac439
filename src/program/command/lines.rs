//! Lines of a file: all are looked at before the first of them is given to the server, and given in parts that it takes.

use std::io::{self, Read as _};

use anyhow::{Context as _, ensure};
use hearth_core::command::Arg;
use zeroize::Zeroizing;

/// Lines given to the server at a time: an import is committed in parts of this size.
const LINES_MAX: usize = 5_000;
/// Bytes given to the server at a time, so that a part with its frame is a request it takes.
const PART_BYTES_MAX: usize = 4 << 20;
/// Lines that are told to be wrong, at most.
const WRONG_TOLD_MAX: usize = 10;

/// Some of the lines.
#[derive(Default)]
pub(super) struct Part {
    /// Their text.
    pub(super) text: Zeroizing<String>,
    /// How many they are.
    count: usize,
    /// The numbers of the first and the last in the file, from 1.
    pub(super) numbers: (usize, usize),
}

/// The lines of a file, or of standard input (`-`), in parts.
///
/// # Errors
/// It cannot be read, some of its lines cannot be taken, or it holds none.
pub(super) fn read(file: &str, arg: &Arg) -> anyhow::Result<Vec<Part>> {
    let name = if file == "-" { "standard input" } else { file };
    let mut text = Zeroizing::new(String::new());
    let read = match file {
        "-" => io::stdin().lock().read_to_string(&mut text),
        file => std::fs::File::open(file).and_then(|mut it| it.read_to_string(&mut text)),
    };
    read.context(name.to_owned())?;
    split(name, &text, arg)
}

fn split(name: &str, text: &str, arg: &Arg) -> anyhow::Result<Vec<Part>> {
    let (mut parts, mut wrong): (Vec<Part>, Vec<String>) = Default::default();
    for (n, line) in text.lines().enumerate() {
        let holds = arg.line.map_or(Ok(!line.is_empty()), |check| check(line));
        match holds {
            _ if line.len() >= PART_BYTES_MAX => {
                wrong.push(format!("{name}:{}: the line is too long", n + 1))
            }
            Err(why) => wrong.push(format!("{name}:{}: {why}", n + 1)),
            Ok(false) => {}
            Ok(true) => add(&mut parts, n + 1, line),
        }
    }
    if wrong.len() > WRONG_TOLD_MAX {
        let more = wrong.len() - WRONG_TOLD_MAX;
        wrong.truncate(WRONG_TOLD_MAX);
        wrong.push(format!("and {more} more lines"));
    }
    ensure!(wrong.is_empty(), "nothing was done:\n{}", wrong.join("\n"));
    ensure!(!parts.is_empty(), "there is nothing in {name}; it is to hold {}", arg.help);
    Ok(parts)
}

fn add(parts: &mut Vec<Part>, number: usize, line: &str) {
    let full = |part: &Part| part.count == LINES_MAX || part.text.len() + line.len() >= PART_BYTES_MAX;
    if parts.last().is_none_or(full) {
        parts.push(Part { numbers: (number, number), ..Part::default() });
    }
    if let Some(part) = parts.last_mut() {
        part.text.push_str(line);
        part.text.push('\n');
        part.count += 1;
        part.numbers.1 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARG: Arg = Arg::lines("lines", "lines of anything", |line| match line {
        "" | "#" => Ok(false),
        line if line.starts_with("bad") => Err("is bad".to_owned()),
        _ => Ok(true),
    });

    fn parts(text: &str) -> Result<Vec<Part>, String> {
        split("file", text, &ARG).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_given_in_parts_and_none_is_lost() {
        let text: String = (0..12_345).map(|n| format!("line {n}\n")).collect();
        let parts = parts(&format!("#\n\n{text}\n#\n")).unwrap();
        let numbers: Vec<_> = parts.iter().map(|part| part.numbers).collect();
        assert_eq!(numbers, [(3, 5_002), (5_003, 10_002), (10_003, 12_347)]);
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text);
    }

    #[test]
    fn a_part_is_a_request_that_the_server_takes() {
        let long = "x".repeat(PART_BYTES_MAX - 10);
        assert_eq!(parts(&format!("{long}\n{long}\n")).unwrap().len(), 2);
        let longer = "x".repeat(PART_BYTES_MAX);
        assert_eq!(parts(&longer).err().unwrap(), "nothing was done:\nfile:1: the line is too long");
    }

    #[test]
    fn what_cannot_be_taken_is_told_with_its_lines() {
        let good = "good\n".repeat(6_000);
        let told = parts(&format!("{good}bad 1\n#\nbad 2\n")).err().unwrap();
        assert_eq!(told, "nothing was done:\nfile:6001: is bad\nfile:6003: is bad");
        let told = parts(&"bad\n".repeat(15)).err().unwrap();
        assert!(told.ends_with("file:10: is bad\nand 5 more lines"), "{told}");
        assert_eq!(parts("#\n").err().unwrap(), "there is nothing in file; it is to hold lines of anything");
    }
}
