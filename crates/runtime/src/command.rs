//! The command line of the OCI runtime specification: `create`, `start`, `state`, `kill`, `delete`, `run`, `exec`, `list`.
//!
//! A container is a directory below `--root`: `state.json`, the compiled `plan` and the socket `start`, on which its
//! process waits between create and start.

mod actions;
mod arguments;
mod console;
mod state;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use crate::error::{Error, Result, Stage};
use arguments::Arguments;

/// Where containers are kept unless `--root` says otherwise.
const DEFAULT_ROOT: &str = "/run/corten/runtime";

/// Runs one command (without our own name and role); returns the exit code.
pub fn main(args: Vec<OsString>) -> i32 {
    let mut log = None;
    match Arguments::parse(args).and_then(|mut arguments| {
        log = arguments.take_value("--log")?;
        dispatch(&mut arguments)
    }) {
        Ok(code) => code,
        Err(error) => {
            report(&error, log.as_deref());
            match &error {
                Error::Failure(failure) if failure.stage == Stage::NotFound => 127,
                Error::Failure(failure) if failure.stage == Stage::NotExecutable => 126,
                _ => 1,
            }
        }
    }
}

fn dispatch(arguments: &mut Arguments) -> Result<i32> {
    let root = arguments
        .take_value("--root")?
        .unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    for ignored in ["--log-format", "--criu", "--rootless"] {
        arguments.take_value(ignored)?;
    }
    for ignored in ["--systemd-cgroup", "--debug"] {
        arguments.take_flag(ignored);
    }
    let root = Path::new(&root);
    let command = arguments
        .take_word()
        .ok_or_else(|| Error::Invalid("no command".to_owned()))?;
    match command.as_str() {
        "create" => actions::create(root, arguments),
        "start" => actions::start(root, arguments),
        "run" => actions::run(root, arguments),
        "state" => actions::state(root, arguments),
        "kill" => actions::kill(root, arguments),
        "delete" => actions::delete(root, arguments),
        "exec" => actions::exec(root, arguments),
        "list" => actions::list(root, arguments),
        "pause" => actions::freeze(root, arguments, true),
        "resume" => actions::freeze(root, arguments, false),
        "--version" | "-v" | "version" => {
            print(&format!(
                "corten version {}\nspec: 1.2.0\n",
                env!("CARGO_PKG_VERSION")
            ));
            Ok(0)
        }
        other => Err(Error::Invalid(format!("unknown command {other:?}"))),
    }
}

/// Standard output may be closed; that is its owner's wish.
fn print(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).ok();
}

fn report(error: &Error, log: Option<&str>) {
    writeln!(std::io::stderr(), "corten: {error}").ok();
    let Some(log) = log else { return };
    let line = serde_json::json!({ "level": "error", "msg": error.to_string() });
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
    {
        writeln!(file, "{line}").ok();
    }
}
