//! The command line: a few words of the program's own, and every command of the registry, with its help and arguments
//! made from its description. A module's command appears here by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};
use hearth_core::command::{self, ArgKind, Command};
use hearth_core::plan::Plan;

const ABOUT: &str = "An XMPP server. Without a command it serves, as `hearth serve` does.";
const OFFLINE: &str = "offline";
const AFTER: &str = "\
Settings are in config.toml (here, or in /etc/hearth; or --config, HEARTH_CONFIG). Variables go over it: HEARTH_DATA_DIRECTORY,
HEARTH_HOSTS=a.example,b.example, and HEARTH__section__key=value for every other setting.";

/// The whole command line.
pub(crate) fn build(plan: &Plan) -> Clap {
    let config = Arg::new("config")
        .long("config")
        .global(true)
        .action(ArgAction::Append)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .env("HEARTH_CONFIG")
        .help("The configuration; may be repeated, a later file goes over an earlier one");
    let offline = Arg::new(OFFLINE)
        .long(OFFLINE)
        .action(ArgAction::SetTrue)
        .help("Ask no name server for the records of the hosts");
    let hearth = Clap::new("hearth")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .arg(config)
        .subcommand(Clap::new("serve").about("Run the server until it is told to stop"))
        .subcommand(
            Clap::new("init").about("Make the data directory, and a configuration where there is none"),
        )
        .subcommand(
            Clap::new("check").about("Look for everything that would go wrong, with its fix").arg(offline),
        );
    groups(plan)
        .into_iter()
        .fold(hearth, |hearth, (word, commands)| hearth.subcommand(group(word, &commands)))
}

/// Whether `hearth check` is to ask no name server.
pub(crate) fn is_offline(matches: &ArgMatches) -> bool {
    matches.subcommand_matches("check").is_some_and(|check| check.get_flag(OFFLINE))
}

/// The files named by `--config`.
pub(crate) fn files(matches: &ArgMatches) -> Vec<PathBuf> {
    matches.get_many("config").into_iter().flatten().cloned().collect()
}

/// The command of the registry that was given, with its arguments.
pub(crate) fn chosen<'p, 'm>(
    plan: &'p Plan,
    matches: &'m ArgMatches,
) -> Option<(&'p Command, &'m ArgMatches)> {
    let (mut name, mut matches) = matches.subcommand().map(|(name, matches)| (name.to_owned(), matches))?;
    while let Some((word, inner)) = matches.subcommand() {
        name = format!("{name} {word}");
        matches = inner;
    }
    plan.command(&name).map(|command| (command, matches))
}

/// The commands by their first word.
fn groups(plan: &Plan) -> BTreeMap<&'static str, Vec<&Command>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for command in plan.commands() {
        let word = command.name.split_once(' ').map_or(command.name, |(word, _)| word);
        groups.entry(word).or_default().push(command);
    }
    groups
}

fn group(word: &'static str, commands: &[&Command]) -> Clap {
    if let [single] = commands
        && single.name == word
    {
        return leaf(word, single);
    }
    let second = |command: &Command| command.name.split_once(' ').map_or(command.name, |(_, second)| second);
    let words: Vec<_> = commands.iter().map(|command| second(command)).collect();
    let group = Clap::new(word).about(words.join(" | "));
    let group = group.subcommand_required(true).arg_required_else_help(true).disable_help_subcommand(true);
    commands.iter().fold(group, |group, command| group.subcommand(leaf(second(command), command)))
}

fn leaf(word: &'static str, command: &Command) -> Clap {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer as JSON, for programs");
    let leaf = Clap::new(word).about(command.help).arg(json);
    command.args.iter().fold(leaf, |leaf, arg| leaf.arg(argument(arg)))
}

/// Required arguments stand in their order, others have a name; a password is never an argument.
fn argument(arg: &'static command::Arg) -> Arg {
    let argument = Arg::new(arg.name).help(arg.help).value_parser(NonEmptyStringValueParser::new());
    match (arg.kind, arg.required) {
        (ArgKind::Password, _) => Arg::new(arg.name)
            .long(format!("{}-stdin", arg.name))
            .action(ArgAction::SetTrue)
            .help(format!("Read {} from standard input instead of asking for it", arg.help)),
        (ArgKind::Flag, _) => Arg::new(arg.name).long(arg.name).action(ArgAction::SetTrue).help(arg.help),
        (ArgKind::Lines, _) => argument
            .value_name("FILE")
            .default_value("-")
            .help(format!("A file with {}; - is standard input", arg.help)),
        (ArgKind::Accounts | ArgKind::Jids, true) => {
            argument.value_name(value_name(arg.kind)).required(true).num_args(1..)
        }
        (ArgKind::Accounts | ArgKind::Jids, false) => {
            argument.long(arg.name).value_name(value_name(arg.kind)).num_args(1..)
        }
        (ArgKind::Text | ArgKind::Account | ArgKind::Host | ArgKind::Number, required) => {
            let mut argument = argument.value_name(value_name(arg.kind));
            if arg.kind == ArgKind::Number {
                argument = argument.value_parser(number).allow_negative_numbers(true);
            }
            if required { argument.required(true) } else { argument.long(arg.name) }
        }
    }
}

/// A whole number, as it was typed.
fn number(text: &str) -> Result<String, String> {
    text.parse::<u32>()
        .map(|_| text.to_owned())
        .map_err(|_| format!("write a whole number from 0 to {}", u32::MAX))
}

fn value_name(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::Text | ArgKind::Password | ArgKind::Flag => "TEXT",
        ArgKind::Account | ArgKind::Accounts => "USER@DOMAIN",
        ArgKind::Jids => "ADDRESS",
        ArgKind::Host => "DOMAIN",
        ArgKind::Number => "N",
        ArgKind::Lines => "FILE",
    }
}

/// Every command as one line, for the README.
#[cfg(test)]
pub(crate) fn overview(plan: &Plan) -> String {
    let usage = |command: &Command| {
        let mut words = vec![format!("hearth {}", command.name)];
        for arg in command.args {
            words.push(match (arg.kind, arg.required) {
                (ArgKind::Password, _) => format!("[--{}-stdin]", arg.name),
                (ArgKind::Lines, _) => "[FILE]".to_owned(),
                (ArgKind::Flag, _) => format!("[--{}]", arg.name),
                (kind @ (ArgKind::Accounts | ArgKind::Jids), true) => format!("{}…", value_name(kind)),
                (kind, true) => value_name(kind).to_owned(),
                (kind, false) => format!("[--{} {}]", arg.name, value_name(kind)),
            });
        }
        words.join(" ")
    };
    let mut lines = vec![
        "hearth\n    Run the server until it is told to stop".to_owned(),
        "hearth init\n    Make the data directory, and a configuration where there is none".to_owned(),
        "hearth check [--offline]\n    Look for everything that would go wrong, with its fix".to_owned(),
    ];
    lines.extend(plan.commands().map(|command| format!("{}\n    {}", usage(command), command.help)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::modules::{self, Sections};

    fn parse(line: &str) -> Result<(String, ArgMatches), String> {
        let plan = modules::plan(&Sections::new()).unwrap();
        let matches =
            build(&plan).try_get_matches_from(line.split(' ')).map_err(|error| error.to_string())?;
        let (command, matches) = chosen(&plan, &matches).ok_or("none of the registry")?;
        Ok((command.name.to_owned(), matches.clone()))
    }

    #[test]
    fn every_command_of_the_registry_is_there() {
        let plan = modules::plan(&Sections::new()).unwrap();
        let mut clap = build(&plan);
        clap.build();
        clap.clone().debug_assert();
        for command in plan.commands() {
            let found = command.name.split(' ').try_fold(&clap, |clap, word| clap.find_subcommand(word));
            let help = found.unwrap_or_else(|| panic!("{}", command.name)).get_about().unwrap().to_string();
            assert_eq!(help, command.help);
            let own = ["serve", "init", "check", "help"];
            assert!(!own.contains(&command.name), "{} is a word of the program itself", command.name);
        }
    }

    #[test]
    fn arguments_follow_the_description() {
        let (name, matches) = parse("hearth account add me@x --password-stdin").unwrap();
        assert_eq!(name, "account add");
        assert_eq!(matches.get_one::<String>("accountjid").unwrap(), "me@x");
        assert!(matches.get_flag("password"));
        let (_, matches) = parse("hearth session kick a@x b@x --reason late").unwrap();
        assert_eq!(matches.get_many::<String>("accountjids").unwrap().collect::<Vec<_>>(), ["a@x", "b@x"]);
        assert_eq!(matches.get_one::<String>("reason").unwrap(), "late");
        let (name, matches) = parse("hearth status --json").unwrap();
        assert!(name == "status" && matches.get_flag("json"));
        let (_, matches) = parse("hearth account list --limit 5").unwrap();
        assert_eq!(matches.get_one::<String>("limit").unwrap(), "5");
        for limit in ["-1", "many"] {
            let refused = parse(&format!("hearth account list --limit {limit}")).unwrap_err();
            assert!(refused.contains("write a whole number from 0"), "{refused}");
        }
        assert_eq!(parse("hearth account import").unwrap().1.get_one::<String>("accounts").unwrap(), "-");
    }

    #[test]
    fn a_password_cannot_be_an_argument() {
        for line in ["hearth account add me@x secret", "hearth account add me@x --password secret"] {
            let refused = parse(line).unwrap_err();
            assert!(refused.contains("unexpected argument"), "{refused}");
        }
        assert!(parse("hearth account add").unwrap_err().contains("required"));
        assert!(parse("hearth acount add").unwrap_err().contains("account"), "a suggestion");
    }

    #[test]
    fn help_is_there_where_people_look_for_it() {
        let plan = modules::plan(&Sections::new()).unwrap();
        for line in ["hearth help", "hearth --help", "hearth help account add", "hearth account add --help"] {
            let told = build(&plan).try_get_matches_from(line.split(' ')).unwrap_err();
            assert_eq!(told.kind(), clap::error::ErrorKind::DisplayHelp, "{line}: {told}");
        }
    }

    #[test]
    fn several_files_may_be_named() {
        let plan = modules::plan(&Sections::new()).unwrap();
        let matches = build(&plan).get_matches_from(["hearth", "--config", "a", "check", "--config", "b"]);
        assert!(!files(&matches).is_empty());
        assert!(chosen(&plan, &matches).is_none());
    }
}
