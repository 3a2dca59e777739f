//! `login` and `logout`.

use std::io::Read as _;

use api::auth::{AuthConfig, LoggedIn};
use client::{Method, Request};
use stdx::ErrorKind;

use crate::credentials::{self, HUB, hostname};
use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// `login [OPTIONS] [SERVER]`
pub(crate) async fn login(session: &Session, given: &Given) -> Outcome {
    let server = server(given);
    let mut auth = AuthConfig {
        username: given.text("username"),
        password: given.text("password"),
        serveraddress: server.clone(),
        ..AuthConfig::default()
    };
    read_password(given, &mut auth)?;
    let mut user = String::new();
    if auth.username.is_empty()
        && auth.password.is_empty()
        && let Some(known) = credentials::get(session, &server)?
    {
        user.clone_from(&known.username);
        let known = AuthConfig {
            serveraddress: server,
            ..known
        };
        if enter_as_before(session, known).await {
            return Ok(0);
        }
    }
    ask(session, &mut auth, &user)?;
    enter(session, auth).await?;
    Ok(0)
}

/// Tries a stored account before anybody is asked; whether it was taken.
async fn enter_as_before(session: &Session, auth: AuthConfig) -> bool {
    if auth.identitytoken.is_empty() && (auth.username.is_empty() || auth.password.is_empty()) {
        return false;
    }
    let user = match auth.username.as_str() {
        "" => String::new(),
        user => format!(" [Username: {user}]"),
    };
    report::print_error(&format!(
        "Authenticating with existing credentials...{user}\n\n \
         Info -> To login with a different account, run 'docker logout' followed by 'docker login'\n\n"
    ));
    let Err(failure) = enter(session, auth).await else {
        return true;
    };
    if failure.kind == ErrorKind::Unauthorized {
        report::print_error("Stored credentials invalid or expired");
    } else {
        report::print_error(&format!("Login did not succeed, error: {}", failure.text));
    }
    false
}

/// Shows the registry an account, and keeps it where it is taken.
async fn enter(session: &Session, mut auth: AuthConfig) -> Result<(), Failure> {
    let request = Request::new(Method::Post, "/auth").json(&auth)?;
    let answer: LoggedIn = session.client().await?.call(request).await?;
    if !answer.identity_token.is_empty() {
        auth.password = String::new();
        auth.identitytoken = answer.identity_token;
    }
    credentials::store(session, &auth)?;
    if !answer.status.is_empty() {
        report::print(&format!("{}\n", answer.status));
    }
    Ok(())
}

fn server(given: &Given) -> String {
    match given.args.first().map(String::as_str) {
        None | Some("") => HUB.to_owned(),
        Some(address) => credentials::server(hostname(address)),
    }
}

fn read_password(given: &Given, auth: &mut AuthConfig) -> Result<(), Failure> {
    if given.has("password") {
        report::print_error(
            "WARNING! Using --password via the CLI is insecure. Use --password-stdin.",
        );
        if given.is("password-stdin") {
            return Err(Failure::new(
                "--password and --password-stdin are mutually exclusive",
            ));
        }
    }
    if !given.is("password-stdin") {
        return Ok(());
    }
    if auth.username.is_empty() {
        return Err(Failure::new(
            "Must provide --username with --password-stdin",
        ));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("read the password: {}", report::reason(&error))))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.strip_suffix('\r')
        .unwrap_or(text)
        .clone_into(&mut auth.password);
    Ok(())
}

/// Asks the user for what is missing; only where there is one. `known`: whom an empty answer means.
fn ask(session: &Session, auth: &mut AuthConfig, known: &str) -> Result<(), Failure> {
    if !auth.username.is_empty() && !auth.password.is_empty() {
        return Ok(());
    }
    if !session.env.stdin_is_terminal {
        return Err(Failure::new(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    if auth.username.is_empty() {
        report::print(&match known {
            "" => "Username: ".to_owned(),
            known => format!("Username ({known}): "),
        });
        auth.username = read_line()?;
        if auth.username.is_empty() {
            known.clone_into(&mut auth.username);
        }
        if auth.username.is_empty() {
            return Err(Failure::new("Error: Non-null Username Required"));
        }
    }
    if auth.password.is_empty() {
        report::print("Password: ");
        let hidden = crate::terminal::hidden()?;
        let line = read_line();
        drop(hidden);
        report::print("\n");
        auth.password = line?;
        if auth.password.is_empty() {
            return Err(Failure::new("Error: Password Required"));
        }
    }
    Ok(())
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| {
        Failure::new(format!("read standard input: {}", report::reason(&error)))
    })?;
    Ok(line.trim().to_owned())
}

/// `logout [SERVER]`
pub(crate) fn logout(session: &Session, given: &Given) -> i32 {
    let server = server(given);
    let host = if server == HUB {
        HUB.to_owned()
    } else {
        hostname(&server).to_owned()
    };
    report::print(&format!("Removing login credentials for {host}\n"));
    let mut names = vec![server.clone()];
    if server != HUB {
        names.extend([format!("http://{host}"), format!("https://{host}")]);
    }
    let mut failures = Vec::new();
    for name in names {
        if let Err(failure) = credentials::erase(session, &name) {
            failures.push(format!("{name}: {}", failure.text));
        }
    }
    if !failures.is_empty() {
        report::print_error("WARNING: could not erase credentials:");
        report::print_error(&failures.join("\n"));
    }
    0
}
