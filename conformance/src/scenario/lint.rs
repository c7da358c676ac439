//! What can be told of a scenario without playing it: variables that nobody sets, templates that are no XML.

use std::collections::BTreeSet;

use super::file::kept_names;
use super::{Action, Escaping, Fault, Rule, Scenario, SendAs, Stage, Step, Template, Vars};
use crate::xml::parse_fragment;

impl Scenario {
    /// Mistakes with file and line.
    pub(super) fn lint(&self) -> Vec<String> {
        let vars = self.dummy_vars();
        let mut mistakes = Vec::new();
        for step in &self.steps {
            if let Err(why) = check(step, &vars) {
                mistakes.push(format!("{}:{}: {why}", self.path, step.line));
            }
        }
        mistakes
    }

    /// Every variable that some step sets, with any value.
    fn dummy_vars(&self) -> Vars {
        let mut names: BTreeSet<String> = ["host".to_owned(), "host2".to_owned()].into();
        for user in self.users() {
            names.extend([format!("{}:name", user.name), format!("{}:password", user.name), user.name]);
        }
        for step in &self.steps {
            names.extend(step.payload().into_iter().flat_map(kept_names));
            names.extend(step.counter().map(str::to_owned));
            names.insert(step.who.clone());
            if let Action::Reach { stage: Stage::Bound { user, resource }, .. } = &step.action {
                names.insert(format!("{user}/{resource}"));
            }
        }
        let mut vars = Vars::default();
        names.iter().for_each(|name| vars.set(name, "x"));
        vars
    }
}

fn check(step: &Step, vars: &Vars) -> Result<(), String> {
    match &step.action {
        Action::Send { payload, how: SendAs::Stanzas, times } => {
            let xml = vars.turn(payload, Escaping::Xml, times.is_numbered().then_some(1))?;
            parse_fragment(&xml).map(|_| ()).map_err(|why| format!("`sends:` wants well-formed XML: {why}"))
        }
        Action::Send { payload, .. } | Action::SendCutOff { payload } => {
            vars.bytes(payload, Escaping::Raw).map(|_| ())
        }
        Action::Receive { payload, times, .. } => templates(payload, vars, times.is_numbered().then_some(1)),
        Action::Ignore { payload } => templates(payload, vars, None),
        Action::Fault(Fault::Runs { command: text } | Fault::HasLogged { parts: text }) => {
            vars.text(text, Escaping::Plain).map(|_| ())
        }
        Action::OpenStream { attributes } | Action::ReceiveHeader { attributes } => {
            let xml = format!("<a {}/>", vars.text(attributes, Escaping::Xml)?);
            let elements = parse_fragment(&xml).map_err(|why| format!("bad attributes: {why}"))?;
            let values = elements.iter().flat_map(|element| element.attributes.values());
            values.map(|value| Rule::new(value)).collect::<Result<Vec<_>, _>>().map(|_| ())
        }
        _ => Ok(()),
    }
}

fn templates(payload: &str, vars: &Vars, turn: Option<u32>) -> Result<(), String> {
    let found = Template::parse_all(&vars.turn(payload, Escaping::Xml, turn)?)?;
    if found.is_empty() { Err("no template".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(steps: &str) -> usize {
        match Scenario::parse("x.txt", &format!("title: x\n{steps}\n")) {
            Ok(_) => 0,
            Err(mistakes) => mistakes.len(),
        }
    }

    #[test]
    fn mistakes_are_found_before_the_play() {
        assert_eq!(
            mistakes(
                "a/b connects\na/b sends: <iq id='${a/b}'/>\na/b receives: <iq id='!set x'/>\na/b sends: <iq id='${x}'/>"
            ),
            0
        );
        assert_eq!(mistakes("a/b sends: <iq"), 1);
        assert_eq!(mistakes("a/b sends: <iq id='${a/c}'/>"), 1, "a/c never connects");
        assert_eq!(mistakes("a/b receives: <iq id='!bogus'/>"), 1);
        assert_eq!(mistakes("a/b sends raw: \\q"), 1);
        assert_eq!(mistakes("S receives stream header: from"), 1);
    }
}
