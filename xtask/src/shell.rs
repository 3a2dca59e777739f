//! Running other programs, and saying how long a phase took.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask stands below the root")
}

/// Where things that are made once are kept, outside the checkout.
pub(crate) fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("CORTEN_CACHE") {
        return cache.into();
    }
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    Path::new(&home).join(".cache/corten")
}

/// Runs cargo in the root of the checkout.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    run(cargo_command().args(arguments))
}

/// Cargo in the root of the checkout, as a developer starts it: what `cargo run` has told this program of its package would
/// have ring built anew, and with it half of the workspace, after every change from the one to the other.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command
}

/// Runs a command to its end; a status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("run {}", show(command)))?;
    if !status.success() {
        bail!("{}: {status}", show(command));
    }
    Ok(())
}

/// Runs a command quietly; its output is shown only where it fails. Returns stdout.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", show(command)))?;
    if !output.status.success() {
        bail!(
            "{}: {}\n{}{}",
            show(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

/// A command with its arguments, for a quick [`output`].
pub(crate) fn quiet<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String> {
    let stdout = output(Command::new(program).args(arguments))?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn show(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Runs a phase and prints how long it took, and at once why it failed: others may run beside it for minutes.
pub(crate) fn phase<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    println!("== {name}");
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => println!("== {name}: {seconds:.1} s"),
        Err(error) => println!("== {name}: failed after {seconds:.1} s: {error:#}"),
    }
    result.with_context(|| name.to_owned())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
