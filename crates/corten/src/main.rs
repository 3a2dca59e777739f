//! The one binary of Corten: picks the role, nothing else.
//!
//! The role is picked before any thread, logger or async runtime exists: the monitor, the runtime and the init must stay
//! single-threaded. Only here are the arguments, the environment and the working directory read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    CommandLine,
    Daemon,
    Runtime,
    Monitor,
    Netd,
    Init,
    Hello,
}

/// The role, and how many of the arguments name it.
fn role(args: &[OsString]) -> (Role, usize) {
    let called = args
        .first()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match called.rsplit('/').next().unwrap_or_default() {
        "dockerd" => return (Role::Daemon, 0),
        "corten-runtime" => return (Role::Runtime, 0),
        "docker" => return (Role::CommandLine, 0),
        "hello" => return (Role::Hello, 0),
        _ => {}
    }
    match args.get(1).and_then(|word| word.to_str()) {
        Some("daemon") => (Role::Daemon, 1),
        Some("runtime") => (Role::Runtime, 1),
        Some("standby") => (Role::Monitor, 1),
        Some("netd") => (Role::Netd, 1),
        Some("init") => (Role::Init, 1),
        Some("hello") => (Role::Hello, 1),
        _ => (Role::CommandLine, 0),
    }
}

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let (role, words) = role(&args);
    args.drain(..words);
    let code = match role {
        Role::Monitor => monitor::main(&args[1..]),
        Role::Netd => netd::main(&args[1..]),
        Role::Init => runtime::init::main(args.split_off(1)),
        Role::Runtime => runtime::command::main(args.split_off(1)),
        Role::Daemon => daemon::main(
            args,
            daemon::Env {
                variables: variables(),
            },
        ),
        Role::Hello => {
            cli::hello::hello();
            0
        }
        Role::CommandLine => cli::main(args, surroundings()),
    };
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn surroundings() -> cli::Env {
    use std::io::IsTerminal;
    let stdin = std::io::stdin();
    cli::Env {
        variables: variables(),
        directory: std::env::current_dir().unwrap_or_default(),
        stdin_is_terminal: stdin.is_terminal(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        columns: sys::tty::size(std::os::fd::AsFd::as_fd(&stdin))
            .ok()
            .map(|size| size.columns),
        is_root: std::fs::metadata("/proc/self")
            .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_the_name_or_the_first_argument() {
        let check = |words: &[&str], expected: (Role, usize)| {
            let args: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(role(&args), expected, "{words:?}");
        };
        check(&["corten"], (Role::CommandLine, 0));
        check(&["/x/corten", "ps"], (Role::CommandLine, 0));
        check(&["corten", "daemon", "-D"], (Role::Daemon, 1));
        check(&["/usr/bin/dockerd", "-D"], (Role::Daemon, 0));
        check(&["docker", "daemon"], (Role::CommandLine, 0));
        check(&["corten-runtime", "state", "x"], (Role::Runtime, 0));
        check(&["corten", "standby"], (Role::Monitor, 1));
        check(&["corten", "netd"], (Role::Netd, 1));
        check(&[], (Role::CommandLine, 0));
    }
}
