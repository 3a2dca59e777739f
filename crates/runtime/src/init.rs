//! The little first process of `--init`: starts the program, forwards signals to it, reaps orphans, ends as it ends.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use sys::process::{self, Child, Ended, Forked, Image, SingleThreaded};
use sys::signal;

const SIGCHLD: i32 = 17;
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Runs `args` (program first, without our own name, role or `--`) and returns the container's exit code.
pub fn main(args: Vec<OsString>) -> i32 {
    let args: Vec<Vec<u8>> = args
        .into_iter()
        .skip_while(|arg| arg == "--")
        .map(OsString::into_vec)
        .collect();
    if args.is_empty() {
        return NOT_FOUND;
    }
    let Ok(proof) = SingleThreaded::prove() else {
        return NOT_EXECUTABLE;
    };
    signal::block_all();
    match process::clone(&proof, 0, None) {
        Ok(Forked::Child) => process::exit_now(execute(&args)),
        Ok(Forked::Parent(child)) => look_after(&child),
        Err(_) => NOT_EXECUTABLE,
    }
}

/// The program's process: a session's foreground group of its own when there is a terminal.
fn execute(args: &[Vec<u8>]) -> i32 {
    signal::ignore(SIGTTOU);
    process::lead_foreground_group();
    signal::reset();
    let env: Vec<Vec<u8>> = std::env::vars_os()
        .map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            entry
        })
        .collect();
    let Ok(image) = Image::new(args, &env) else {
        return NOT_EXECUTABLE;
    };
    let mut code = NOT_FOUND;
    for candidate in candidates(&args[0], &env) {
        let Ok(candidate) = CString::new(candidate) else {
            continue;
        };
        if image.execute(&candidate).kind() != std::io::ErrorKind::NotFound {
            code = NOT_EXECUTABLE;
        }
    }
    code
}

const SIGTTOU: i32 = 22;

fn candidates(name: &[u8], env: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix(b"PATH="))
        .unwrap_or_default();
    let directories = path
        .split(|byte| *byte == b':')
        .filter(|directory| directory.starts_with(b"/"));
    directories
        .map(|directory| [directory, b"/", name].concat())
        .collect()
}

fn look_after(child: &Child) -> i32 {
    loop {
        match signal::wait_any() {
            Ok(SIGCHLD) => {
                if let Some(ended) = reap(child.pid) {
                    return ended.code();
                }
            }
            // A program that is gone gets no signals; its end is on its way as SIGCHLD.
            Ok(number) => drop(process::kill(child.pid, number)),
            Err(_) => return NOT_EXECUTABLE,
        }
    }
}

/// Reaps all that have ended; returns how the program did.
fn reap(main: i32) -> Option<Ended> {
    let mut result = None;
    while let Ok(Some((pid, ended))) = process::reap_any() {
        if pid == main {
            result = Some(ended);
        }
    }
    result
}
