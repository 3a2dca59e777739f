//! The docker-compatible command line: words, flags, tables, templates, terminals, exit codes.
//!
//! `main` parses against one table of all of docker's commands and flags ([`surface`]), so that what is not built is
//! refused by its name; each built command is one file below [`commands`]. It knows the engine through `client` and
//! `api` only; `manifest` alone asks registries itself, as docker's does.

mod autostart;
mod commands;
mod config;
mod credentials;
mod env;
mod flags;
mod format;
pub mod hello;
mod help;
mod join;
mod manifest;
mod platform;
mod ports;
mod progress;
mod reference;
mod report;
mod session;
mod signals;
mod spec;
mod streams;
mod surface;
mod table;
mod template;
mod terminal;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

pub use env::Env;

use flags::{Given, Stop};
use report::{Failure, Outcome};
use session::Session;
use surface::Command;

/// Runs one command line (`args[0]` is the program as it was called) and returns the process's exit code.
pub fn main(args: Vec<OsString>, env: Env) -> i32 {
    let mut words = args
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned());
    let program = match words.next() {
        Some(called) if called.rsplit('/').next() == Some("docker") => "docker",
        _ => "corten",
    };
    let words: Vec<String> = words.collect();
    match run(program, &words, env) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.text.is_empty() {
                report::print_error(&failure.text);
            }
            failure.code
        }
    }
}

fn run(program: &str, words: &[String], env: Env) -> Outcome {
    let root = surface::find("").expect("the table has the root command");
    let mut session = Session::new(program, env);
    let given = match flags::parse(&root, words) {
        Ok(given) => given,
        Err(stop) => return stopped(&session, &root, stop),
    };
    session.globals = given;
    if session.globals.is("version") {
        return Ok(commands::version::short(&session));
    }
    let words = std::mem::take(&mut session.globals.args);
    match words.first().map(String::as_str) {
        None => {
            report::print_error(help::render(&root, &session.style()).trim_end());
            Ok(0)
        }
        Some("help") => help_of(&session, &words[1..]),
        Some(_) => command(&session, &words),
    }
}

/// `help COMMAND...`
fn help_of(session: &Session, words: &[String]) -> Outcome {
    let Some(command) = surface::find(&words.join(" ")) else {
        return Err(Failure::new(format!(
            "unknown help topic: {}",
            words.join(" ")
        )));
    };
    report::print(&help::render(&command, &session.style()));
    Ok(0)
}

/// Finds the command that the words begin with, parses its flags and runs it.
fn command(session: &Session, words: &[String]) -> Outcome {
    let mut rest = words;
    let mut path = String::new();
    let command = loop {
        let Some(command) = surface::find(&with_word(&path, &rest[0])) else {
            return unknown(session, &path, rest);
        };
        path.clone_from(&command.path);
        rest = &rest[1..];
        let groups = rest.first().is_some_and(|word| !word.starts_with('-'));
        if command.arity.is_some() || !groups {
            break command;
        }
    };
    let given = match flags::parse(&command, rest) {
        Ok(given) => given,
        Err(stop) => return stopped(session, &command, stop),
    };
    let Some(arity) = command.arity else {
        if is_group(&command) {
            report::print_error(help::render(&command, &session.style()).trim_end());
            return Ok(0);
        }
        return dispatch(session, &command, &given);
    };
    check_arity(session, &command, arity, given.args.len())?;
    dispatch(session, &command, &given)
}

fn dispatch(session: &Session, command: &Command, given: &Given) -> Outcome {
    // Whoever asked hears no more: the connection ends with the process, and the daemon cancels what it did for it.
    sys::leave::on_signals();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Failure::new(format!("start the event loop: {error}")))?;
    let outcome = runtime.block_on(commands::dispatch(session, command, given));
    // A thread that reads standard input may never come back from it.
    runtime.shutdown_background();
    outcome
}

fn with_word(path: &str, word: &str) -> String {
    if path.is_empty() {
        word.to_owned()
    } else {
        format!("{path} {word}")
    }
}

fn is_group(command: &Command) -> bool {
    command.usage().ends_with(" COMMAND")
}

/// A word that is no command. Flags are looked at first, as cobra does.
fn unknown(session: &Session, path: &str, rest: &[String]) -> Outcome {
    let program = session.program;
    if let Some(group) = surface::find(path) {
        match flags::parse(
            &Command {
                stops: false,
                ..group
            },
            rest,
        ) {
            Err(stop) => {
                let group = surface::find(path).expect("found a moment ago");
                return stopped(session, &group, stop);
            }
            Ok(_) if path.is_empty() => {}
            Ok(_) => {
                return Err(Failure::new(format!(
                    "{program}: unknown command: {program} {path} {}\n\nUsage:  {program} {path}\n\n\
                     Run '{program} {path} --help' for more information",
                    rest[0]
                )));
            }
        }
    }
    Err(Failure::new(format!(
        "{program}: unknown command: {program} {}\n\nRun '{program} --help' for more information",
        rest[0]
    )))
}

/// Help that was asked for, or wrong flags.
fn stopped(session: &Session, command: &Command, stop: Stop) -> Outcome {
    match stop {
        Stop::Help { short } => {
            if short {
                report::print_error("Flag shorthand -h has been deprecated, use --help");
            }
            report::print(&help::render(command, &session.style()));
            Ok(0)
        }
        Stop::Wrong(reason) => {
            let usage = match command.path.as_str() {
                "" => "[OPTIONS] COMMAND [ARG...]",
                path if is_group(command) => path,
                _ => command.usage(),
            };
            let program = session.program;
            let called = with_word(program, &command.path).trim_end().to_owned();
            Err(Failure::new(format!(
                "{reason}\n\nUsage:  {program} {usage}\n\nRun '{called} --help' for more information"
            ))
            .with_code(125))
        }
    }
}

fn check_arity(
    session: &Session,
    command: &Command,
    arity: surface::Arity,
    count: usize,
) -> Result<(), Failure> {
    let arguments = |number: usize| if number == 1 { "argument" } else { "arguments" };
    let (min, called) = (arity.min, format!("{} {}", session.program, command.path));
    let wrong = match arity.max {
        _ if count >= min && arity.max.is_none_or(|max| count <= max) => return Ok(()),
        Some(0) => "accepts no arguments".to_owned(),
        None => format!("requires at least {min} {}", arguments(min)),
        Some(max) if max == min => format!("requires {min} {}", arguments(min)),
        Some(max) if min == 0 => format!("requires at most {max} {}", arguments(max)),
        Some(max) => format!(
            "requires at least {min} and at most {max} {}",
            arguments(max)
        ),
    };
    let verb = if arity.max.is_none() { "See" } else { "Run" };
    Err(Failure::new(format!(
        "{}: '{called}' {wrong}\n\nUsage:  {} {}\n\n{verb} '{called} --help' for more information",
        session.program,
        session.program,
        command.usage()
    )))
}
