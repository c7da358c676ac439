//! The users of a scenario, and their accounts on the server under test.

use tokio::time::Instant;

use crate::client::{Connection, Credentials, Received, Target};
use crate::scenario::{ConnectOptions, UserSpec, Vars, random_hex};
use crate::xml::{TLS, escape};

/// In-band registration, XEP-0077.
const REGISTER: &str = "jabber:iq:register";

/// Gives a user a name of its own and makes its variables known.
///
/// # Errors
/// No random numbers.
pub(crate) fn cast(user: &UserSpec, target: &Target, vars: &mut Vars) -> Result<Credentials, String> {
    let name = if user.existing { user.name.clone() } else { format!("{}-{}", user.name, random_hex(10)?) };
    let password = match &user.password {
        Some(password) => password.clone(),
        None => random_hex(16)?,
    };
    let host = if user.on_host2 { &target.host2 } else { &target.host };
    vars.set(&user.name, format!("{name}@{host}"));
    vars.set(&format!("{}:name", user.name), &name);
    vars.set(&format!("{}:password", user.name), &password);
    Ok(Credentials { name, password, host: host.clone() })
}

/// Makes an account by a short stream of its own, which is returned for the record.
///
/// # Errors
/// The server does not let us.
pub(crate) async fn register(
    target: &Target,
    user: &Credentials,
    deadline: Instant,
) -> Result<Connection, String> {
    let options = ConnectOptions::default();
    let mut connection = target.connect(&user.host, &options, deadline).await?;
    let features = connection.open_stream(&user.host, deadline).await?;
    if features.child(TLS, "starttls").is_some() {
        connection.upgrade(&user.host, &options, deadline).await?;
    }
    let (name, password) = (escape(&user.name), escape(&user.password));
    let request = format!(
        "<iq type='set' id='runner-register' to='{}'><query xmlns='{REGISTER}'><username>{name}</username>\
         <password>{password}</password></query></iq>",
        escape(&user.host)
    );
    connection.send(request.as_bytes(), deadline).await?;
    match connection.next(deadline).await {
        Some(Received::Element(iq)) if iq.attribute("type") == Some("result") => {}
        other => {
            let why = format!("no account by in-band registration: {other:?}\n{}", connection.transcript());
            return Err(why);
        }
    }
    connection.say_goodbye(deadline).await;
    Ok(connection)
}
