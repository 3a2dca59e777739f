//! The container as the runtime made it: what is asked of the runtime and of its control groups.

use std::os::fd::{AsFd, OwnedFd};

use runtime::plan::{Cgroup, Process};
use runtime::{Created, Creating, Fds, Gate, Target};
use sys::process::{PidFd, SingleThreaded};

use crate::launch::failed;
use crate::protocol::{Failure, Launch, Stdio};
use crate::streams::{self, Pipes, Streams};

const SIGKILL: i32 = 9;

/// Descriptors that the engine handed over for the runtime.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) rootfs: Option<OwnedFd>,
    pub(crate) netns: Option<OwnedFd>,
    pub(crate) executable: Option<OwnedFd>,
}

/// The container.
#[derive(Debug)]
pub(crate) struct Container {
    proof: SingleThreaded,
    pid: i32,
    pidfd: Option<PidFd>,
    waiting: Option<Created>,
    cgroup: Option<Cgroup>,
    die_with_parent: bool,
    /// Namespaces that the kernel is to take apart when everybody has acted upon the end.
    held: Vec<OwnedFd>,
}

/// A container that is being made.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    launch: &'a Launch,
    creating: Creating<'a>,
    made: Streams,
}

/// Standard streams as the runtime takes them, and our side of them if it is known before.
fn stdio(stdio: &Stdio, output: bool) -> Result<(runtime::Stdio, Streams), Failure> {
    if stdio.tty {
        return Ok((
            runtime::Stdio::Terminal(stdio.console_size),
            Streams::default(),
        ));
    }
    let Pipes { streams, ends } = streams::pipes(stdio, output).map_err(failed("make pipes"))?;
    Ok((runtime::Stdio::Files(ends), streams))
}

fn terminal(stdio: &Stdio, made: Streams, master: Option<OwnedFd>) -> Result<Streams, Failure> {
    match master {
        Some(master) => Streams::terminal(stdio, master).map_err(failed("take the terminal")),
        None => Ok(made),
    }
}

impl Making<'_> {
    /// Waits until it is made.
    pub(crate) fn finish(mut self, proof: SingleThreaded) -> Result<(Container, Streams), Failure> {
        let Launch { plan, stdio, .. } = self.launch;
        if self.launch.holds_mounts {
            self.creating.hold_mounts();
        }
        let mut created = self.creating.finish().map_err(Failure::from)?;
        let streams = terminal(stdio, self.made, created.terminal.take())?;
        let held = std::mem::take(&mut created.namespaces);
        let mut cgroup = plan.cgroup.clone();
        if let Some(cgroup) = &mut cgroup {
            // Written, and not needed again.
            cgroup.limits = runtime::plan::Limits::default();
        }
        let container = Container {
            proof,
            pid: created.pid,
            pidfd: None,
            waiting: Some(created),
            cgroup,
            die_with_parent: plan.die_with_parent,
            held,
        };
        Ok((container, streams))
    }
}

impl Container {
    /// Has its process make the container, up to its program; what is left to do here can be done meanwhile.
    pub(crate) fn begin<'a>(
        proof: &SingleThreaded,
        launch: &'a Launch,
        inherited: Inherited,
    ) -> Result<Making<'a>, Failure> {
        let (ends, made) = stdio(&launch.stdio, true)?;
        let fds = Fds {
            rootfs: inherited.rootfs,
            netns: inherited.netns,
            stdio: ends,
            init: inherited.executable,
            gate: Gate::Creator,
        };
        let creating = runtime::begin(proof, &launch.plan, fds).map_err(Failure::from)?;
        Ok(Making {
            launch,
            creating,
            made,
        })
    }

    /// Lets the kernel take apart what the container was in: it takes milliseconds of a processor that others may wait for,
    /// and does so for the mounts before it tells of the end of the last process among them.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// The first process, as the host sees it.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// What the host could not do for it, told once.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        self.waiting
            .as_mut()
            .map(|created| std::mem::take(&mut created.warnings))
            .unwrap_or_default()
    }

    /// Lets the program begin.
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        let Some(created) = self.waiting.take() else {
            return Ok(());
        };
        let started = created.start().map_err(Failure::from)?;
        self.pidfd = Some(started.pidfd);
        Ok(())
    }

    /// Runs one more process; `output`: somebody wants to see what it prints.
    pub(crate) fn exec(
        &self,
        process: &Process,
        wanted: &Stdio,
        output: bool,
    ) -> Result<(i32, Streams), Failure> {
        let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let pidfd = self
            .pidfd
            .as_ref()
            .ok_or_else(gone)
            .map_err(failed("join the container"))?;
        if self.is_frozen() {
            // The new process would stand still before its exec, and this one with it, with nobody left to thaw them.
            let error = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
            return Err(failed("join a paused container")(error));
        }
        // An exec's input always ends with its client, as in Docker.
        let wanted = Stdio {
            stdin_once: true,
            open_stdin: wanted.open_stdin && output,
            ..wanted.clone()
        };
        let (ends, made) = stdio(&wanted, output)?;
        let target = Target {
            pidfd: pidfd.as_fd(),
            cgroup: self.cgroup.as_ref(),
            die_with_parent: self.die_with_parent,
        };
        let executed = runtime::exec(&self.proof, target, process, ends).map_err(Failure::from)?;
        let streams = terminal(&wanted, made, executed.terminal)?;
        Ok((executed.pid, streams))
    }

    /// Sends a signal to the first process or to all; false: it is gone.
    pub(crate) fn signal(&self, signal: i32, all: bool) -> Result<bool, Failure> {
        match (&self.cgroup, all) {
            (Some(cgroup), true) if signal == SIGKILL => cgroup.kill()?,
            (Some(cgroup), true) => cgroup.signal(signal)?,
            _ => {
                let pidfd = match (&self.waiting, &self.pidfd) {
                    (Some(created), _) => &created.pidfd,
                    (None, Some(pidfd)) => pidfd,
                    (None, None) => return Ok(false),
                };
                return match pidfd.send_signal(signal) {
                    Ok(()) => Ok(true),
                    Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(false),
                    Err(error) => Err(failed("signal the container")(error)),
                };
            }
        }
        Ok(true)
    }

    /// Stops all processes, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<(), Failure> {
        let Some(cgroup) = &self.cgroup else {
            let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
            return Err(failed("freeze a container without control group")(error));
        };
        let done = if frozen {
            cgroup.freeze()
        } else {
            cgroup.thaw()
        };
        Ok(done?)
    }

    /// Says whether the processes are stopped.
    pub(crate) fn is_frozen(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::is_frozen)
    }

    /// Says whether the kernel has killed a process for want of memory.
    pub(crate) fn oom_killed(&self) -> bool {
        self.cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.oom_kills() > 0)
    }

    /// Kills what the first process has left behind: those that share the host's process ids outlive it.
    pub(crate) fn kill_rest(&self) {
        if let Some(cgroup) = &self.cgroup {
            // Nothing can be done about a failure but what follows anyway.
            cgroup.kill().ok();
        }
    }

    /// Removes the control groups.
    pub(crate) fn remove_cgroup(&self) {
        if let Some(cgroup) = &self.cgroup {
            // What is left is found and removed by the engine's reaper.
            cgroup.remove().ok();
        }
    }
}

const NO_SUCH_PROCESS: i32 = 3;
