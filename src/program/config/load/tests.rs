//! Configurations as people write them, and what they are told.

use super::*;

fn sources(files: &[&str], variables: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let named = files.iter().enumerate().map(|(n, text)| {
        let path = dir.path().join(format!("{n}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    });
    let files = named.collect();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (dir, Sources { files, variables })
}

/// What is said about a configuration, without the folder of its files.
#[track_caller]
fn check(files: &[&str], variables: &[(&str, &str)], said: &[&str]) {
    let (dir, sources) = sources(files, variables);
    let folder = format!("{}/", dir.path().display());
    let problems = match load(&sources) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(|problem| problem.to_string().replace(&folder, "")).collect(),
    };
    assert_eq!(problems, said, "{files:?} {variables:?}");
}

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    for (toml, said) in [
        ("admin = []\n", "0.toml:1: `admin` is a section (begin it with [admin])"),
        ("[host]\ndomain = 'x'\n", "0.toml:1: there may be several `host` (begin each with [[host]])"),
        ("admns = []\n", "0.toml:1: there is no setting `admns` (did you mean `admins`?)"),
        (
            "\n[data]\ndirektory = 'x'\n",
            "0.toml:3: there is no setting `data.direktory` (did you mean `directory`?)",
        ),
        ("[limit]\n", "0.toml:1: there is no setting `limit` (did you mean `limits`?)"),
        (
            "[limits]\n# what\nstanza_bytes = 1\n",
            "0.toml:3: there is no setting `limits.stanza_bytes` (did you mean `stanza_bytes_max`?)",
        ),
        (
            "[[listen]]\naddress = '[::1]:1'\n[[listen]]\naddress = '[::1]:2'\nstart_tls = 'off'\n",
            "0.toml:5: there is no setting `listen[1].start_tls` (did you mean `starttls`?)",
        ),
        (
            "[[host]]\ndomain = 'x'\nxyzzy = 1\n",
            "0.toml:3: there is no setting `host[0].xyzzy` (remove it; the shipped config.toml shows all settings)",
        ),
    ] {
        check(&[toml], &[], &[said]);
    }
}

#[test]
fn all_unknown_keys_are_told_at_once() {
    check(
        &["[log]\nlevl = 'info'\n[tls]\ncertificate = 'x'\n"],
        &[],
        &[
            "0.toml:2: there is no setting `log.levl` (did you mean `level`?)",
            "0.toml:4: there is no setting `tls.certificate` (did you mean `certificates`?)",
        ],
    );
}

#[test]
fn a_section_of_no_module_is_refused() {
    let (_dir, sources) = sources(&["[xep.no-such-thing]\nx = 1\n"], &[]);
    let said = load(&sources).unwrap_err().to_string();
    assert!(said.contains("0.toml:1: there is no setting `xep.no-such-thing`"), "{said}");
}

#[test]
fn wrong_values_are_refused_with_their_line() {
    for (toml, said) in [
        (
            "[data]\ncreate = 'yes'\n",
            "0.toml:2: data.create: \"yes\" is neither true nor false (write true or false, without quotes)",
        ),
        ("[[host]]\n", "0.toml:1: host[0]: `domain` is missing (add a line `domain = …`)"),
        (
            "[xep.ping]\nask_after_s = 5\nanswer_within_s = 0\n",
            "0.toml:3: xep.ping.answer_within_s: with 0, every silent connection would end (choose at least 1; to ask \
             nobody, set ask_after_s = 0)",
        ),
        (
            "[xep.disco.contact]\nabuse = [\n'mailto:a@b',\n'a@b']\n",
            "0.toml:4: xep.disco.contact.abuse[1]: \"a@b\" is no URI (write \"mailto:…\", \"xmpp:…\" or \"https://…\")",
        ),
        ("a = 1\na = 2\n", "0.toml:2: duplicate key (see https://toml.io for how such a file is written)"),
        (
            "[[listen]]\naddress = '0.0.0.0:5222'\nstarttls = 'off'\n",
            "0.toml:3: listen[0].starttls: clients would talk in plain text over the network on 0.0.0.0:5222 \
             (write starttls = \"required\", or plaintext_off_loopback = true if you mean it)",
        ),
    ] {
        check(&[toml], &[], &[said]);
    }
}

#[test]
fn all_wrong_values_are_told_at_once_those_of_extensions_too() {
    check(
        &["conflict = 1\n[xep.ping]\nask_after_s = 'never'\n[xep.register]\nopen = 1\n"],
        &[],
        &[
            "0.toml:1: conflict: 1 is not known here (write one of \"replace\", \"refuse\", \"rename\")",
            "0.toml:3: xep.ping.ask_after_s: \"never\" is no whole number (write a whole number from 0 to 4294967295, \
             without quotes)",
            "0.toml:5: xep.register.open: 1 is neither true nor false (write true or false, without quotes)",
        ],
    );
}

#[test]
fn a_later_file_and_the_environment_go_over() {
    let (dir, sources) = sources(
        &["admins = ['a@x']\n[limits]\nlogin_s_max = 5\nclose_s_max = 6\n", "[limits]\nlogin_s_max = 7\n"],
        &[
            ("HEARTH__admins", "['b@x', 'c@x']"),
            ("HEARTH_HOSTS", "a.example"),
            ("HEARTH_DATA_DIRECTORY", "kept"),
        ],
    );
    let config = load(&sources).unwrap().config;
    assert_eq!((config.limits.login_s_max, config.limits.close_s_max), (7, 6));
    assert_eq!(config.admins, ["b@x", "c@x"]);
    assert_eq!(config.host[0].domain, "a.example");
    assert_eq!(config.data.directory, dir.path().join("kept"), "relative to the first file");
    assert_eq!(config.socket(), dir.path().join("kept/hearth.sock"));
    check(
        &["[log]\nlevel = 'info'\n"],
        &[("HEARTH__log__levels", "warn"), ("HEARTH__limits__login_s_max", "soon")],
        &[
            "HEARTH__log__levels: there is no setting `log.levels` (did you mean `level`?)",
            "HEARTH__limits__login_s_max: limits.login_s_max: \"soon\" is no whole number (write a whole number from 0 to \
             4294967295, without quotes)",
        ],
    );
}

#[test]
fn a_variable_that_is_empty_names_no_directory() {
    check(
        &[""],
        &[("HEARTH_DATA_DIRECTORY", "")],
        &["HEARTH_DATA_DIRECTORY: data.directory: is empty (name a path, or leave it out)"],
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let sources = Sources { files: vec!["/nowhere/config.toml".into()], ..Sources::default() };
    let said = load(&sources).unwrap_err().to_string();
    assert!(said.starts_with("/nowhere/config.toml: cannot be read"), "{said}");
}
