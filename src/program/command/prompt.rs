//! Asking a person for a password at the terminal, without showing what is typed.
//!
//! Whoever is interrupted meanwhile (Ctrl-C) leaves the terminal as it was: a shell puts its own terminal right, a script
//! around this program does not.

use std::fs::File;
use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, bail, ensure};
use hearth_core::command::Arg;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

/// The terminal of this process, whatever its standard input is.
const TERMINAL: &str = "/dev/tty";

/// Asks a person twice.
///
/// # Errors
/// There is nobody to ask, or the two differ.
pub(super) fn ask(arg: &Arg) -> anyhow::Result<Zeroizing<String>> {
    let flag = format!("--{}-stdin", arg.name);
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask for {}: use {flag} and give it on standard input", arg.help);
    }
    restore_at_signals()?;
    let ask = |again: &str| {
        let typed = rpassword::prompt_password(format!("{}{again}: ", arg.name));
        if typed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            // the terminal is as it was; now to end as if nobody had waited for that
            emulate_default_handler(SIGINT)?;
        }
        typed.map(Zeroizing::new).with_context(|| format!("cannot ask for {}; try {flag}", arg.help))
    };
    let first = ask("")?;
    ensure!(first == ask(" once more")?, "the two differ; nothing was done");
    Ok(first)
}

/// Puts the terminal right before a signal ends this process, from now on.
fn restore_at_signals() -> anyhow::Result<()> {
    // without a terminal of its own the question fails, and says so
    let Ok(terminal) = File::options().read(true).write(true).open(TERMINAL) else { return Ok(()) };
    let before = tcgetattr(&terminal).context(TERMINAL)?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let wait = move || {
        for signal in signals.forever() {
            restore(&terminal, &before);
            // ends the process; where it cannot, the next signal tries again
            let _ = emulate_default_handler(signal);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

fn restore(terminal: &File, before: &Termios) {
    // a terminal that has gone needs nothing
    let _ = tcsetattr(terminal, OptionalActions::Now, before);
}
