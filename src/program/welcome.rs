//! What to do next, on the screen, as long as the server has no account.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hearth_core::server::Server;
use hearth_core::unserved;
use hearth_net::config::Encryption;

use super::config::Config;

/// Prints it, if there is no account yet.
///
/// # Errors
/// The store cannot be asked.
pub(crate) async fn greet(
    server: &Server,
    config: &Config,
    files: &[PathBuf],
    authority: Option<&Path>,
) -> anyhow::Result<()> {
    for host in server.hosts().all() {
        if server.count_accounts(host.domain.domain()).await? > 0 {
            return Ok(());
        }
    }
    let unserved = unserved::describe(&server.unserved().await?);
    let program = std::env::args().next().unwrap_or_else(|| "hearth".to_owned());
    // whoever started it elsewhere than on a screen does not miss it
    let _ = io::stdout()
        .lock()
        .write_all(text(&program, config, files, authority, unserved.as_deref()).as_bytes());
    Ok(())
}

fn text(
    program: &str,
    config: &Config,
    files: &[PathBuf],
    authority: Option<&Path>,
    unserved: Option<&str>,
) -> String {
    let domain = config.host.first().map_or("localhost", |host| host.domain.as_str());
    let mut out = String::new();
    let _ = writeln!(out, "\nHearth serves {domain}. It has no account yet; this is what to do:\n");
    if let Some(line) = unserved {
        let _ = writeln!(
            out,
            "  0. Nobody can log in to {line}.\n     To see them: {program} account list{}\n",
            named(files)
        );
    }
    let _ = writeln!(out, "  1. In another terminal, make an account (it asks for a password):");
    let _ = writeln!(out, "       {program} account add you@{domain}{}\n", named(files));
    let _ = writeln!(out, "  2. In a client, add the account you@{domain} with that password.");
    for (encryption, what) in
        [(Encryption::Starttls, "with STARTTLS"), (Encryption::Direct, "with direct TLS")]
    {
        if let Some(address) = address(config, encryption) {
            let _ = writeln!(out, "       server {}, port {}, {what}", host_of(address), address.port());
        }
    }
    if let Some(authority) = authority {
        let _ = writeln!(
            out,
            "\n  3. The certificate is from a CA that was made for this machine. Let the client trust"
        );
        let _ = writeln!(out, "       {}\n     or accept the certificate when it asks.", authority.display());
    }
    let _ = writeln!(
        out,
        "\n  Ctrl-C stops the server. `{program} check{}` looks for what is wrong.\n",
        named(files)
    );
    out
}

/// How the same configuration is named to another command.
fn named(files: &[PathBuf]) -> String {
    match files {
        [only] if only == Path::new("config.toml") => String::new(),
        files => files.iter().map(|file| format!(" --config {}", file.display())).collect(),
    }
}

fn address(config: &Config, encryption: Encryption) -> Option<SocketAddr> {
    config.listen.iter().find(|listen| listen.encryption == encryption).map(|listen| listen.address)
}

fn host_of(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { "of this machine's name".to_owned() } else { address.ip().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_first_steps_are_exact() {
        let files = [PathBuf::from("config.toml")];
        let text = text(
            "target/release/hearth",
            &Config::shipped(),
            &files,
            Some(Path::new("certs/development-ca.crt")),
            None,
        );
        expect![[r#"

            Hearth serves localhost. It has no account yet; this is what to do:

              1. In another terminal, make an account (it asks for a password):
                   target/release/hearth account add you@localhost

              2. In a client, add the account you@localhost with that password.
                   server 127.0.0.1, port 5222, with STARTTLS
                   server 127.0.0.1, port 5223, with direct TLS

              3. The certificate is from a CA that was made for this machine. Let the client trust
                   certs/development-ca.crt
                 or accept the certificate when it asks.

              Ctrl-C stops the server. `target/release/hearth check` looks for what is wrong.

        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_was_served_before_and_where_it_was_configured_is_said() {
        let files = [PathBuf::from("other.toml")];
        let text =
            text("hearth", &Config::shipped(), &files, None, Some("2 accounts of b, which is no [[host]]"));
        for part in [
            "Nobody can log in to 2 accounts of b, which is no [[host]].",
            "hearth account list --config other.toml\n",
            "`hearth check --config other.toml` looks",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn another_configuration_is_named() {
        assert_eq!(named(&["/etc/a.toml".into(), "b.toml".into()]), " --config /etc/a.toml --config b.toml");
    }
}
