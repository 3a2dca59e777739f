//! The container's first process, from its clone to its exec. Whatever fails is reported, and the process ends.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use sys::process::{self, SingleThreaded};
use sys::socket::SeqPacket;

use crate::cgroup::Entry;
use crate::create::Stdio;
use crate::error::{Failure, Step};
use crate::handshake::ChildEnd;
use crate::plan::{NamespaceKind, Plan};
use crate::program;
use crate::rootfs::Sources;

/// What the child takes over from the runtime.
pub(crate) struct Inherited {
    pub(crate) rootfs: Option<OwnedFd>,
    pub(crate) joined: Vec<OwnedFd>,
    pub(crate) stdio: Stdio,
    pub(crate) init: Option<OwnedFd>,
    pub(crate) entry: Option<Entry>,
    pub(crate) gate: Option<SeqPacket>,
}

const SIGKILL: i32 = 9;

/// Runs in the child; never returns.
pub(crate) fn run(proof: &SingleThreaded, plan: &Plan, end: ChildEnd, inherited: Inherited) -> ! {
    let mut end = Some(end);
    let failure = match live(proof, plan, &mut end, inherited) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    if let (Some(failure), Some(end)) = (failure, end) {
        end.failed(failure);
    }
    process::exit_now(1)
}

/// `Err(None)`: nobody is there any more to report to.
fn live(
    proof: &SingleThreaded,
    plan: &Plan,
    end: &mut Option<ChildEnd>,
    inherited: Inherited,
) -> Result<Infallible, Option<Failure>> {
    let (prepared, report) = set_up(proof, plan, inherited)?;
    let Report {
        warnings,
        master,
        gate,
    } = report;
    let Some(waiting) = end.take() else {
        return Err(None);
    };
    if let Err(failure) = waiting.ready(warnings, master.as_ref()) {
        *end = Some(waiting);
        return Err(Some(failure));
    }
    drop(master);
    *end = waiting.wait(gate.as_ref())?;
    if end.is_none() {
        return Err(None);
    }
    drop(gate);
    Err(Some(prepared.execute()))
}

struct Report {
    warnings: Vec<String>,
    master: Option<OwnedFd>,
    gate: Option<SeqPacket>,
}

fn set_up(
    proof: &SingleThreaded,
    plan: &Plan,
    inherited: Inherited,
) -> Result<(program::Prepared, Report), Failure> {
    let mut warnings = Vec::new();
    // Modes of what is made are exactly as decided; the process gets its mask at the end.
    process::set_umask(0);
    let is_new = |kind| {
        plan.namespaces
            .contains(&(kind, crate::plan::Namespace::New))
    };
    if let Some(entry) = &inherited.entry {
        entry.enter().step(|| "enter control groups")?;
    }
    drop(inherited.entry);
    for fd in &inherited.joined {
        process::setns(proof, fd.as_fd(), 0).step(|| "join a namespace")?;
    }
    drop(inherited.joined);
    let sources = Sources::open(plan, inherited.rootfs)?;
    if is_new(NamespaceKind::Cgroup) {
        // Not with the clone: the namespace's root is the group that its maker is in.
        process::unshare(proof, process::namespace::CGROUP).step(|| "make a cgroup namespace")?;
    }
    if let Some(name) = &plan.hostname {
        process::set_host_name(name).step(|| "set host name")?;
    }
    if let Some(name) = &plan.domainname {
        process::set_domain_name(name).step(|| "set domain name")?;
    }
    let keyring = std::ffi::CString::new(format!("_ses.{}", plan.id)).unwrap_or_default();
    process::join_session_keyring(&keyring).step(|| "join a session keyring")?;
    let mut tree = sources.build(proof, plan)?;
    program::limit(&plan.process, &mut warnings)?;
    if plan.process.oom_score_adj.is_some() || !plan.process.apparmor_profile.is_empty() {
        program::write_proc(&plan.process, tree.proc()?, &mut warnings)?;
    }
    let (fds, master) = match inherited.stdio {
        Stdio::Files(fds) => (fds, None),
        Stdio::Terminal(size) => {
            let pty = program::open_terminal(tree.root())?;
            if let Some((rows, columns)) = size {
                sys::tty::set_size(pty.master.as_fd(), sys::tty::Size { rows, columns })
                    .step(|| "set terminal size")?;
            }
            tree.mount_console(&pty.slave)?;
            let copy = || pty.slave.try_clone().step(|| "copy terminal");
            ([copy()?, copy()?, copy()?], Some(pty.master))
        }
    };
    tree.make_working_directory(&plan.process.cwd)?;
    program::streams(fds, plan.process.terminal, plan.process.uid)?;
    tree.pivot(proof, plan)?;
    let death = plan.die_with_parent.then_some(SIGKILL);
    let prepared = program::prepare(proof, &plan.process, inherited.init, death)?;
    Ok((
        prepared,
        Report {
            warnings,
            master,
            gate: inherited.gate,
        },
    ))
}
