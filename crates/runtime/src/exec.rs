//! One more process in a running container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use sys::mount::TrustedProc;
use sys::process::{self, Forked, PidFd, SingleThreaded, namespace};
use sys::root::RootDir;

use crate::cgroup::Entry;
use crate::create::{Stdio, clone_in, discard};
use crate::error::{Error, Failure, Result, Step};
use crate::handshake;
use crate::plan::{Cgroup, Process};
use crate::program;

/// How long a process may take to its program. The container's own processes see it before, and may stop it; its working
/// directory may be on a mount that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The container that is joined.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its first process.
    pub pidfd: BorrowedFd<'a>,
    /// Its control groups.
    pub cgroup: Option<&'a Cgroup>,
    /// Kill the new process when the caller ends.
    pub die_with_parent: bool,
}

/// A process that runs in the container, a child of the caller.
#[derive(Debug)]
pub struct Executed {
    /// The process, as the caller sees it.
    pub pid: i32,
    /// The process by descriptor.
    pub pidfd: PidFd,
    /// The terminal's master, for [`Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
    /// What was asked and could not be had, and does not matter enough to fail.
    pub warnings: Vec<String>,
}

/// Runs a process in a container. One that does not come to its program in time is killed; whoever reaps the caller's children
/// reaps it, should it take longer to end.
pub fn exec(
    proof: &SingleThreaded,
    target: Target<'_>,
    plan: &Process,
    stdio: Stdio,
) -> Result<Executed> {
    // Inherited by the child: nothing in the container may trace it or look at its descriptors while it is still partly
    // the host's (CVE-2016-9962).
    process::set_dumpable(false).map_err(Error::io("become undumpable"))?;
    Ok(run(proof, target, plan, stdio)?)
}

fn run(
    proof: &SingleThreaded,
    target: Target<'_>,
    plan: &Process,
    stdio: Stdio,
) -> std::result::Result<Executed, Failure> {
    let entry = target
        .cgroup
        .map(|group| group.entry().map_err(Failure::from))
        .transpose()?;
    let (runtime_end, child_end) = handshake::pair()?;
    // The pidfd itself stands for its pid namespace.
    let pidfd = target.pidfd.try_clone_to_owned().step(|| "copy pidfd")?;
    let directory = entry.as_ref().and_then(Entry::directory);
    let forked = clone_in(proof, Some(&pidfd), 0, directory).step(|| "clone into the container")?;
    let child = match forked {
        Forked::Child => {
            drop(runtime_end);
            let failure = match live(proof, target, plan, stdio, entry, &child_end) {
                Ok(prepared) => prepared.execute(),
                Err(failure) => failure,
            };
            child_end.failed(failure);
            process::exit_now(1)
        }
        Forked::Parent(child) => child,
    };
    drop(child_end);
    let pidfd = PidFd::from_fd(child.pidfd);
    let runtime_end = runtime_end.within(PATIENCE);
    let finished = runtime_end
        .ready()
        .and_then(|ready| runtime_end.executed().map(|()| ready));
    match finished {
        Ok((warnings, terminal)) => Ok(Executed {
            pid: child.pid,
            pidfd,
            terminal,
            warnings,
        }),
        Err(failure) => {
            discard(&pidfd);
            Err(failure)
        }
    }
}

/// The child up to its exec.
fn live(
    proof: &SingleThreaded,
    target: Target<'_>,
    plan: &Process,
    stdio: Stdio,
    entry: Option<Entry>,
    end: &handshake::ChildEnd,
) -> std::result::Result<program::Prepared, Failure> {
    const SIGKILL: i32 = 9;
    let mut warnings = Vec::new();
    if let Some(entry) = &entry {
        entry.enter().step(|| "enter control groups")?;
    }
    drop(entry);
    // A procfs of our own, made before anything of the container's can be in the way.
    if plan.oom_score_adj.is_some() || !plan.apparmor_profile.is_empty() {
        let proc = TrustedProc::new().step(|| "make a procfs")?;
        program::write_proc(plan, &proc, &mut warnings)?;
    }
    let flags =
        namespace::MOUNT | namespace::UTS | namespace::IPC | namespace::NETWORK | namespace::CGROUP;
    process::setns(proof, target.pidfd, flags).step(|| "join the container's namespaces")?;
    program::limit(plan, &mut warnings)?;
    process::join_session_keyring(c"_ses.exec").step(|| "join a session keyring")?;
    let (fds, master) = match stdio {
        Stdio::Files(fds) => (fds, None),
        Stdio::Terminal(size) => {
            let root = RootDir::open_path(Path::new("/")).step(|| "open the container's root")?;
            let pty = program::open_terminal(&root)?;
            if let Some((rows, columns)) = size {
                sys::tty::set_size(pty.master.as_fd(), sys::tty::Size { rows, columns })
                    .step(|| "set terminal size")?;
            }
            let copy = || pty.slave.try_clone().step(|| "copy terminal");
            ([copy()?, copy()?, copy()?], Some(pty.master))
        }
    };
    program::streams(fds, plan.terminal, plan.uid)?;
    let death = target.die_with_parent.then_some(SIGKILL);
    let prepared = program::prepare(proof, plan, None, death)?;
    end.ready(warnings, master.as_ref())?;
    Ok(prepared)
}
