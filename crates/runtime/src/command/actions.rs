//! The commands.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci::runtime::Spec;
use sys::process::SingleThreaded;
use sys::socket::SeqPacket;

use super::arguments::Arguments;
use super::state::{Directory, Record, process_status, write_pid};
use super::{console, print};
use crate::create::{self, Created, Fds, Gate, Stdio};
use crate::error::{Error, Result};
use crate::exec::{self, Target};
use crate::plan::{Extras, Plan, Process};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Options of `create` and `run`.
struct Creation {
    bundle: String,
    pid_file: Option<String>,
    console: Option<String>,
    id: String,
}

impl Creation {
    fn parse(arguments: &mut Arguments) -> Result<Self> {
        let bundle = match arguments.take_value("--bundle")? {
            Some(bundle) => Some(bundle),
            None => arguments.take_value("-b")?,
        };
        let creation = Self {
            bundle: bundle.unwrap_or_else(|| ".".to_owned()),
            pid_file: arguments.take_value("--pid-file")?,
            console: arguments.take_value("--console-socket")?,
            id: {
                arguments.take_flag("--no-pivot");
                arguments.take_flag("--no-new-keyring");
                arguments.take_value("--preserve-fds")?;
                arguments.take_id()?
            },
        };
        arguments.finish()?;
        Ok(creation)
    }
}

/// The streams of this process.
fn own_streams() -> Result<Stdio> {
    let copy = |fd: std::os::fd::BorrowedFd<'_>| -> Result<OwnedFd> {
        fd.try_clone_to_owned()
            .map_err(Error::io("copy standard streams"))
    };
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    Ok(Stdio::Files([
        copy(stdin.as_fd())?,
        copy(stdout.as_fd())?,
        copy(stderr.as_fd())?,
    ]))
}

fn read_spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let bytes = std::fs::read(&path).map_err(Error::io(format!("read {}", path.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Invalid(format!("read {}: {error}", path.display())))
}

fn make(
    root: &Path,
    creation: &Creation,
    gate: impl FnOnce(&Directory) -> Result<Gate>,
) -> Result<Created> {
    let bundle = std::fs::canonicalize(&creation.bundle)
        .map_err(Error::io(format!("open bundle {}", creation.bundle)))?;
    let spec = read_spec(&bundle)?;
    if spec
        .hooks
        .as_ref()
        .is_some_and(|hooks| *hooks != oci::runtime::Hooks::default())
    {
        return Err(Error::Unsupported("a specification with hooks".to_owned()));
    }
    let bundle = bundle.to_string_lossy().into_owned();
    let extras = Extras {
        id: creation.id.clone(),
        bundle: bundle.clone(),
        ..Extras::default()
    };
    let plan = Plan::compile(&spec, extras)?;
    if plan.process.terminal && creation.console.is_none() {
        return Err(Error::Invalid(
            "a terminal needs --console-socket".to_owned(),
        ));
    }
    let directory = Directory::new(root, &creation.id);
    directory.make()?;
    let made = make_in(&directory, &plan, gate).and_then(|created| {
        finish(&directory, &plan, &spec, &bundle, creation, &created)?;
        Ok(created)
    });
    if made.is_err() {
        if let Some(group) = &plan.cgroup {
            group.kill().ok();
            group.remove().ok();
        }
        directory.remove().ok();
    }
    made
}

fn make_in(
    directory: &Directory,
    plan: &Plan,
    gate: impl FnOnce(&Directory) -> Result<Gate>,
) -> Result<Created> {
    let stdio = if plan.process.terminal {
        Stdio::Terminal(None)
    } else {
        own_streams()?
    };
    let fds = Fds {
        rootfs: None,
        netns: None,
        stdio,
        init: None,
        gate: gate(directory)?,
    };
    let proof = SingleThreaded::prove().map_err(Error::io("count threads"))?;
    create::create(&proof, plan, fds)
}

fn finish(
    directory: &Directory,
    plan: &Plan,
    spec: &Spec,
    bundle: &str,
    creation: &Creation,
    created: &Created,
) -> Result<()> {
    for warning in &created.warnings {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "corten: warning: {warning}").ok();
    }
    directory.write_plan(plan)?;
    directory.write_record(&Record {
        id: creation.id.clone(),
        pid: created.pid,
        pid_started: process_status(created.pid).map_or(0, |(_, started)| started),
        bundle: bundle.to_owned(),
        annotations: spec.annotations.clone(),
    })?;
    if let (Some(path), Some(master)) = (&creation.console, &created.terminal) {
        console::hand_over(path, master)?;
    }
    if let Some(path) = &creation.pid_file {
        write_pid(path, created.pid)?;
    }
    Ok(())
}

pub(super) fn create(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let creation = Creation::parse(arguments)?;
    make(root, &creation, |directory| {
        let path = directory.gate();
        let listener =
            SeqPacket::listen(&path).map_err(Error::io(format!("listen at {}", path.display())))?;
        Ok(Gate::Listener(listener))
    })?;
    Ok(0)
}

pub(super) fn start(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let id = arguments.take_id()?;
    arguments.finish()?;
    let directory = Directory::new(root, &id);
    let state = directory.state()?;
    if state.status != "created" {
        return Err(Error::Conflict(format!(
            "cannot start a container in the {} state",
            state.status
        )));
    }
    let gate = directory.gate();
    let result = create::start_at(&gate);
    std::fs::remove_file(&gate).ok();
    result.map(|()| 0)
}

pub(super) fn run(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let detach = arguments.take_flag("--detach") || arguments.take_flag("-d");
    let keep = arguments.take_flag("--keep");
    let creation = Creation::parse(arguments)?;
    let directory = Directory::new(root, &creation.id);
    let started = make(root, &creation, |_| Ok(Gate::Creator))?.start();
    let code = match started {
        Ok(_) if detach => return Ok(0),
        Ok(started) => started
            .pidfd
            .wait()
            .map(sys::process::Ended::code)
            .map_err(Error::io("wait for the container")),
        Err(error) => Err(error),
    };
    if !keep || code.is_err() {
        discard(&directory)?;
    }
    code
}

/// Kills what is left and removes groups and directory.
fn discard(directory: &Directory) -> Result<()> {
    if let Some(group) = directory.plan()?.cgroup {
        group.kill()?;
        group.remove()?;
    }
    directory.remove()
}

pub(super) fn state(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let id = arguments.take_id()?;
    arguments.finish()?;
    let state = Directory::new(root, &id).state()?;
    let text =
        serde_json::to_string_pretty(&state).map_err(|error| Error::Invalid(error.to_string()))?;
    print(&format!("{text}\n"));
    Ok(0)
}

pub(super) fn kill(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let all = arguments.take_flag("--all") || arguments.take_flag("-a");
    let id = arguments.take_id()?;
    let signal = match arguments.take_word() {
        None => SIGTERM,
        Some(word) => sys::signal::by_name(&word)
            .ok_or_else(|| Error::Invalid(format!("unknown signal {word:?}")))?,
    };
    arguments.finish()?;
    let directory = Directory::new(root, &id);
    let record = directory.record()?;
    if all && let Some(group) = directory.plan()?.cgroup {
        return if signal == SIGKILL {
            group.kill()
        } else {
            group.signal(signal)
        }
        .map(|()| 0);
    }
    let process = Directory::process(&record)
        .ok_or_else(|| Error::Conflict("container not running".to_owned()))?;
    process
        .send_signal(signal)
        .map_err(Error::io(format!("send signal {signal} to {id}")))?;
    Ok(0)
}

pub(super) fn delete(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let force = arguments.take_flag("--force") || arguments.take_flag("-f");
    let id = arguments.take_id()?;
    arguments.finish()?;
    let directory = Directory::new(root, &id);
    let record = match directory.record() {
        Err(Error::NotFound(_)) if force => return directory.remove().map(|()| 0),
        other => other?,
    };
    if let Some(process) = Directory::process(&record) {
        // A created container has not begun to run: it goes without force.
        if !force && !directory.gate().exists() {
            return Err(Error::Conflict(format!(
                "cannot delete container {id} that is not stopped"
            )));
        }
        process
            .send_signal(SIGKILL)
            .map_err(Error::io(format!("kill {id}")))?;
    }
    discard(&directory)?;
    Ok(0)
}

pub(super) fn freeze(root: &Path, arguments: &mut Arguments, frozen: bool) -> Result<i32> {
    let id = arguments.take_id()?;
    arguments.finish()?;
    let plan = Directory::new(root, &id).plan()?;
    let group = plan
        .cgroup
        .ok_or_else(|| Error::Invalid(format!("container {id} has no control group")))?;
    if frozen { group.freeze() } else { group.thaw() }.map(|()| 0)
}

pub(super) fn exec(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    let process_file = match arguments.take_value("--process")? {
        Some(path) => Some(path),
        None => arguments.take_value("-p")?,
    };
    let pid_file = arguments.take_value("--pid-file")?;
    let console = arguments.take_value("--console-socket")?;
    let detach = arguments.take_flag("--detach") || arguments.take_flag("-d");
    let id = arguments.take_id()?;
    let args = arguments.rest();
    let directory = Directory::new(root, &id);
    let record = directory.record()?;
    let first = Directory::process(&record)
        .ok_or_else(|| Error::Conflict("container not running".to_owned()))?;
    let plan = directory.plan()?;
    let process = match process_file {
        Some(path) => {
            let bytes = std::fs::read(&path).map_err(Error::io(format!("read {path}")))?;
            let process = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Invalid(format!("read {path}: {error}")))?;
            Process {
                seccomp: plan.process.seccomp.clone(),
                ..Process::compile(&process)?
            }
        }
        None if args.is_empty() => return Err(Error::Invalid("no program to execute".to_owned())),
        None => Process {
            args,
            terminal: false,
            ..plan.process.clone()
        },
    };
    let stdio = if process.terminal {
        Stdio::Terminal(None)
    } else {
        own_streams()?
    };
    let target = Target {
        pidfd: first.as_fd(),
        cgroup: plan.cgroup.as_ref(),
        die_with_parent: !detach,
    };
    let proof = SingleThreaded::prove().map_err(Error::io("count threads"))?;
    let executed = exec::exec(&proof, target, &process, stdio)?;
    if let (Some(path), Some(master)) = (&console, &executed.terminal) {
        console::hand_over(path, master)?;
    }
    if let Some(path) = &pid_file {
        write_pid(path, executed.pid)?;
    }
    if detach {
        return Ok(0);
    }
    let ended = executed
        .pidfd
        .wait()
        .map_err(Error::io("wait for the process"))?;
    Ok(ended.code())
}

pub(super) fn list(root: &Path, arguments: &mut Arguments) -> Result<i32> {
    arguments.finish()?;
    let mut states = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        // One that is being made or removed at this moment is not listed.
        states.extend(Directory::new(root, &id).state());
    }
    let text =
        serde_json::to_string_pretty(&states).map_err(|error| Error::Invalid(error.to_string()))?;
    print(&format!("{text}\n"));
    Ok(0)
}
