//! How often a step is repeated, and under which numbers: `250 times, counted as sent`.

/// How many turns a step takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Turns {
    /// One, without a number.
    #[default]
    Once,
    Exactly(u32),
    /// At least the first, at most the second, as many as there are.
    Between(u32, u32),
    /// Up to this number of the counter.
    RestTo(u32),
}

/// How often a step is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) turns: Turns,
    /// The variable that numbers the turns on, over several steps.
    pub(crate) counter: Option<String>,
}

/// The highest number.
const TURNS_MAX: u32 = 100_000;

impl Times {
    /// Reads what stands behind `sends` or `receives`: `100 times`, `10 to 100 times`, `the rest to 100`, with
    /// `, counted as NAME` or without; nothing at all is once. `None` when it is about something else.
    ///
    /// # Errors
    /// Numbers that make no sense.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        let (text, counter) = match text.split_once(", counted as ") {
            Some((text, name)) => (text, Some(name.trim().to_owned())),
            None => (text, None),
        };
        let turns = if let Some(last) = text.strip_prefix("the rest to ") {
            if counter.is_none() {
                return Err("`the rest` wants `counted as NAME`".to_owned());
            }
            Turns::RestTo(number(last)?)
        } else if let Some(numbers) = text.strip_suffix(" times") {
            match numbers.split_once(" to ") {
                Some(("0", most)) => Turns::Between(0, number(most)?),
                Some((least, most)) => Turns::Between(number(least)?, number(most)?),
                None => Turns::Exactly(number(numbers)?),
            }
        } else if text.is_empty() && counter.is_none() {
            Turns::Once
        } else {
            return Ok(None);
        };
        if matches!(turns, Turns::Between(least, most) if least > most) {
            return Err(format!("`{text}` is empty"));
        }
        Ok(Some(Self { turns, counter }))
    }

    /// Whether `${#}` is known.
    pub(crate) fn is_numbered(&self) -> bool {
        self.turns != Turns::Once
    }

    /// The least and the most turns, when the counter stands at `counted`.
    ///
    /// # Errors
    /// The counter is past the end already.
    pub(crate) fn range(&self, counted: u32) -> Result<(u32, u32), String> {
        match self.turns {
            Turns::Once => Ok((1, 1)),
            Turns::Exactly(count) => Ok((count, count)),
            Turns::Between(least, most) => Ok((least, most)),
            Turns::RestTo(last) => match last.checked_sub(counted) {
                Some(rest) => Ok((rest, rest)),
                None => Err(format!("{counted} were counted already, more than {last}")),
            },
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(number @ 1..=TURNS_MAX) => Ok(number),
        _ => Err(format!("`{text}` is not a number from 1 to {TURNS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Times {
        Times::parse(text).unwrap().unwrap()
    }

    #[test]
    fn repetitions_are_read() {
        assert_eq!(read(""), Times::default());
        assert_eq!(read("10 times").turns, Turns::Exactly(10));
        let times = read("0 to 20 times, counted as got");
        assert_eq!((times.turns, times.counter.as_deref()), (Turns::Between(0, 20), Some("got")));
        assert_eq!(read("the rest to 20, counted as got").range(15), Ok((5, 5)));
        assert!(read("the rest to 20, counted as got").range(21).is_err());
        assert_eq!(Times::parse("in any order"), Ok(None));
        for wrong in ["x times", "0 times", "20 to 10 times", "the rest to 20", "100001 times"] {
            assert!(Times::parse(wrong).is_err(), "{wrong}");
        }
    }
}
