//! The built commands, one file each (or one for a few that do the same to many containers).
//!
//! A command that docker has and this table has not is refused by its name, and so is a flag.

mod attach;
mod create;
mod df;
mod events;
mod exec;
mod fsck;
mod history;
mod hold;
mod images;
mod info;
mod inspect;
mod lifecycle;
mod load;
mod login;
mod logs;
mod manifest;
mod network_create;
mod networks;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod remove;
mod run;
mod save;
mod search;
mod start;
mod tree;
pub(crate) mod version;

use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;
use crate::spec;
use crate::surface::Command;

/// Runs a command.
pub(crate) async fn dispatch(session: &Session, command: &Command, given: &Given) -> Outcome {
    let path = command.path.as_str();
    refuse_unbuilt_flags(session, path, given)?;
    match path {
        "run" | "container run" => run::run(session, given).await,
        "create" | "container create" => create::create(session, given).await,
        "start" | "container start" => start::start(session, given).await,
        "attach" | "container attach" => attach::attach(session, given).await,
        "exec" | "container exec" => exec::exec(session, given).await,
        "logs" | "container logs" => logs::logs(session, given).await,
        "ps" | "container ls" => ps::ps(session, given).await,
        "port" | "container port" => port::port(session, given).await,
        "wait" | "container wait" => lifecycle::wait(session, given).await,
        "kill" | "container kill" => lifecycle::kill(session, given).await,
        "stop" | "container stop" => lifecycle::stop(session, given, "stop").await,
        "restart" | "container restart" => lifecycle::stop(session, given, "restart").await,
        "pause" | "container pause" => lifecycle::simple(session, given, "pause").await,
        "unpause" | "container unpause" => lifecycle::simple(session, given, "unpause").await,
        "rename" | "container rename" => lifecycle::rename(session, given).await,
        "rm" | "container rm" => remove::containers(session, given).await,
        "rmi" | "image rm" => remove::images(session, given).await,
        "load" | "image load" => load::load(session, given).await,
        "import" | "image import" => load::import(session, given).await,
        "pull" | "image pull" => pull::pull(session, given).await,
        "push" | "image push" => push::push(session, given).await,
        "history" | "image history" => history::history(session, given).await,
        "save" | "image save" => save::save(session, given).await,
        "container prune" => prune::containers(session, given).await,
        "image fsck" => fsck::fsck(session, given).await,
        "search" => search::search(session, given).await,
        "image prune" => prune::images(session, given).await,
        "network prune" => prune::networks(session, given).await,
        "volume prune" => prune::volumes(session, given).await,
        "system df" => df::df(session, given).await,
        "system prune" => prune::system(session, given).await,
        "login" => login::login(session, given).await,
        "logout" => Ok(login::logout(session, given)),
        "manifest inspect" => manifest::inspect(session, given).await,
        "manifest create" => manifest::create(session, given).await,
        "manifest annotate" => manifest::annotate(session, given),
        "manifest push" => manifest::push(session, given).await,
        "manifest rm" => manifest::remove(session, given),
        "tag" | "image tag" => images::tag(session, given).await,
        "images" | "image ls" => images::list(session, given).await,
        "inspect" | "container inspect" | "image inspect" | "network inspect" => {
            inspect::inspect(session, path, given).await
        }
        "network ls" => networks::list(session, given).await,
        "network create" => network_create::create(session, given).await,
        "network rm" => networks::remove(session, given).await,
        "network connect" => networks::connect(session, given).await,
        "network disconnect" => networks::disconnect(session, given).await,
        "events" | "system events" => events::events(session, given).await,
        "version" => version::version(session, given).await,
        "info" | "system info" => info::info(session, given).await,
        _ => Err(Failure::unbuilt(
            session.program,
            &format!("'{} {path}'", session.program),
        )),
    }
}

/// Flags of built commands that are not built.
fn unbuilt_flags(path: &str) -> &'static [&'static str] {
    match path
        .strip_prefix("container ")
        .or_else(|| path.strip_prefix("image "))
        .unwrap_or(path)
    {
        "run" | "create" => &spec::UNBUILT,
        "start" => &["checkpoint", "checkpoint-dir"],
        "pull" | "push" => &["disable-content-trust"],
        _ => &[],
    }
}

fn refuse_unbuilt_flags(session: &Session, path: &str, given: &Given) -> Result<(), Failure> {
    match given
        .names()
        .find(|name| unbuilt_flags(path).contains(name))
    {
        None => Ok(()),
        Some(name) => Err(Failure::unbuilt(
            session.program,
            &format!("flag --{name} of '{} {path}'", session.program),
        )),
    }
}

/// Does the same to each argument: prints what went well, reports what did not, fails if anything did.
pub(crate) async fn each(
    names: &[String],
    mut action: impl AsyncFnMut(String) -> Result<Option<String>, Failure>,
) -> Outcome {
    let mut failures = Vec::new();
    for name in names {
        match action(name.clone()).await {
            Ok(Some(line)) => crate::report::print(&format!("{line}\n")),
            Ok(None) => {}
            Err(failure) => failures.push(failure.text),
        }
    }
    if failures.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(failures.join("\n")))
    }
}

/// The platform that was asked for, or that the user has chosen for all commands.
pub(crate) fn platform(session: &Session, given: &Given) -> Option<String> {
    given
        .get("platform")
        .or_else(|| session.env.variable("DOCKER_DEFAULT_PLATFORM"))
        .filter(|text| !text.is_empty())
        .map(str::to_lowercase)
}

/// The platforms that were asked for, as the API takes them; `wrong` is how docker's command begins to refuse one.
pub(crate) fn platforms(given: &Given, wrong: &str) -> Result<Vec<String>, Failure> {
    let texts = given.list("platform");
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts
        .map(|text| {
            crate::platform::json(text).map_err(|reason| Failure::new(format!("{wrong}{reason}")))
        })
        .collect()
}

/// A name as a part of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
