//! Makes a container's process, up to its exec, and lets it go.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use sys::process::{self, Child, Forked, PidFd, SingleThreaded, namespace};
use sys::socket::SeqPacket;

use crate::cgroup::Entry;
use crate::child::{self, Inherited};
use crate::error::{Error, Failure, Result, Step};
use crate::handshake::{self, RuntimeEnd};
use crate::plan::{Cgroup, Namespace, NamespaceKind, Plan};

/// How long a killed child is waited for.
const MOMENT: Duration = Duration::from_secs(1);

/// Descriptors that a plan needs and cannot name.
#[derive(Debug)]
pub struct Fds {
    /// A detached mount of the root file system, for [`crate::plan::Rootfs::Inherited`].
    pub rootfs: Option<OwnedFd>,
    /// The network namespace, for [`Namespace::Inherited`].
    pub netns: Option<OwnedFd>,
    /// Standard streams.
    pub stdio: Stdio,
    /// Our own executable as a sealed memory file, for `plan.init`; made when missing.
    pub init: Option<OwnedFd>,
    /// Who lets the process execute.
    pub gate: Gate,
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// These three.
    Files([OwnedFd; 3]),
    /// A pseudo-terminal, made inside the container, of that many rows and columns; its master comes back.
    Terminal(Option<(u16, u16)>),
}

/// Who lets the process execute its program.
#[derive(Debug)]
pub enum Gate {
    /// The creator, by [`Created::start`]. The process ends with its creator until then.
    Creator,
    /// Whoever connects to this listening packet socket: [`start_at`].
    Listener(SeqPacket),
}

/// A container whose process is setting itself up. Dropped, it is taken back, and nothing is left.
#[derive(Debug)]
pub struct Creating<'a> {
    created: Created,
    guard: Guard<'a>,
}

/// Takes back what was made, unless that is kept.
#[derive(Debug)]
struct Guard<'a> {
    child: Option<PidFd>,
    group: Option<&'a Cgroup>,
}

/// A container whose process waits for its exec.
#[derive(Debug)]
pub struct Created {
    /// The process, as the caller sees it.
    pub pid: i32,
    /// The process by descriptor.
    pub pidfd: PidFd,
    /// The terminal's master, for [`Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
    /// What was asked and could not be had, and does not matter enough to fail.
    pub warnings: Vec<String>,
    /// Namespaces that it is in, and that live as long as these: those it was told to join, and those held.
    pub namespaces: Vec<OwnedFd>,
    end: RuntimeEnd,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// The process, as the caller sees it.
    pub pid: i32,
    /// The process by descriptor.
    pub pidfd: PidFd,
    /// The terminal's master.
    pub terminal: Option<OwnedFd>,
}

/// Makes the container's process, a child of the caller. On failure nothing is left.
pub fn create(proof: &SingleThreaded, plan: &Plan, fds: Fds) -> Result<Created> {
    begin(proof, plan, fds)?.finish()
}

/// Makes a child of the caller that becomes the container's process by itself: the caller may do other things meanwhile.
pub fn begin<'a>(proof: &SingleThreaded, plan: &'a Plan, fds: Fds) -> Result<Creating<'a>> {
    // From here on nobody but root of the host looks into this process or its children (CVE-2016-9962).
    process::set_dumpable(false).map_err(Error::io("become undumpable"))?;
    let mut guard = Guard {
        child: None,
        group: plan.cgroup.as_ref(),
    };
    let warnings = match guard.group {
        Some(group) => group.prepare()?,
        None => Vec::new(),
    };
    let (child, end, namespaces) = fork(proof, plan, fds)?;
    let pidfd = PidFd::from_fd(child.pidfd);
    guard.child = Some(pidfd.try_clone().map_err(Error::io("watch the process"))?);
    let created = Created {
        pid: child.pid,
        pidfd,
        terminal: None,
        warnings,
        namespaces,
        end,
    };
    Ok(Creating { created, guard })
}

fn fork(
    proof: &SingleThreaded,
    plan: &Plan,
    fds: Fds,
) -> std::result::Result<(Child, RuntimeEnd, Vec<OwnedFd>), Failure> {
    let entry = plan
        .cgroup
        .as_ref()
        .map(|group| group.entry().map_err(Failure::from))
        .transpose()?;
    let Joined { flags, join, pid } = namespaces(plan, fds.netns)?;
    let init = match fds.init {
        None if plan.init => Some(sys::memfd::own_executable().step(|| "copy our own executable")?),
        given => given.filter(|_| plan.init),
    };
    let gate = match fds.gate {
        Gate::Creator => None,
        Gate::Listener(listener) => Some(listener),
    };
    let (runtime_end, child_end) = handshake::pair()?;
    let directory = entry.as_ref().and_then(Entry::directory);
    let forked =
        clone_in(proof, pid.as_ref(), flags, directory).step(|| "clone into namespaces")?;
    match forked {
        Forked::Child => {
            drop(runtime_end);
            let inherited = Inherited {
                rootfs: fds.rootfs,
                joined: join,
                stdio: fds.stdio,
                init,
                entry,
                gate,
            };
            child::run(proof, plan, child_end, inherited)
        }
        Forked::Parent(child) => Ok((child, runtime_end, join)),
    }
}

impl Creating<'_> {
    /// Keeps its mounts as long as [`Created::namespaces`], if the host lets it.
    pub fn hold_mounts(&mut self) {
        let path = format!("/proc/{}/ns/mnt", self.created.pid);
        let mounts = sys::mount::open_readable(path.as_ref());
        self.created.namespaces.extend(mounts.ok());
    }

    /// Waits until the process waits for its exec.
    pub fn finish(self) -> Result<Created> {
        let Self {
            mut created,
            mut guard,
        } = self;
        let (warnings, terminal) = created.end.ready()?;
        created.warnings.extend(warnings);
        created.terminal = terminal;
        (guard.child, guard.group) = (None, None);
        Ok(created)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            discard(child);
        }
        if let Some(group) = self.group {
            group.kill().ok();
            group.remove().ok();
        }
    }
}

/// Ends a child that failed, and reaps it. One that does not end at once, as the kernel waits for something on its behalf, is
/// left to whoever reaps the caller's children.
pub(crate) fn discard(pidfd: &PidFd) {
    const SIGKILL: i32 = 9;
    // It has usually ended by itself.
    pidfd.send_signal(SIGKILL).ok();
    if pidfd.ends_within(MOMENT).unwrap_or(false) {
        pidfd.wait().ok();
    }
}

/// Clones with the pid namespace given (the caller's own children otherwise stay in its own).
pub(crate) fn clone_in(
    proof: &SingleThreaded,
    pid_namespace: Option<&OwnedFd>,
    flags: u64,
    cgroup: Option<std::os::fd::BorrowedFd<'_>>,
) -> std::io::Result<Forked> {
    let Some(target) = pid_namespace else {
        return process::clone(proof, flags, cgroup);
    };
    let own = sys::mount::open_readable(Path::new("/proc/self/ns/pid"))?;
    process::setns(proof, target.as_fd(), namespace::PID)?;
    let forked = process::clone(proof, flags, cgroup);
    if matches!(forked, Ok(Forked::Child)) {
        return forked;
    }
    // Back to its own is always allowed.
    process::setns(proof, own.as_fd(), namespace::PID)?;
    forked
}

struct Joined {
    flags: u64,
    join: Vec<OwnedFd>,
    pid: Option<OwnedFd>,
}

fn flag(kind: NamespaceKind) -> u64 {
    match kind {
        NamespaceKind::Mount => namespace::MOUNT,
        NamespaceKind::Pid => namespace::PID,
        NamespaceKind::Network => namespace::NETWORK,
        NamespaceKind::Ipc => namespace::IPC,
        NamespaceKind::Uts => namespace::UTS,
        // Made after the groups are entered.
        NamespaceKind::Cgroup => 0,
        NamespaceKind::Time => namespace::TIME,
    }
}

fn namespaces(plan: &Plan, netns: Option<OwnedFd>) -> std::result::Result<Joined, Failure> {
    let mut joined = Joined {
        flags: 0,
        join: Vec::new(),
        pid: None,
    };
    let mut netns = netns;
    for (kind, which) in &plan.namespaces {
        let fd = match which {
            Namespace::New => {
                joined.flags |= flag(*kind);
                continue;
            }
            Namespace::Path(path) => sys::mount::open_readable(Path::new(path))
                .step(|| format!("open namespace {path}"))?,
            Namespace::Inherited => netns
                .take()
                .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
                .step(|| "take the network namespace")?,
        };
        if *kind == NamespaceKind::Pid {
            joined.pid = Some(fd);
        } else {
            joined.join.push(fd);
        }
    }
    Ok(joined)
}

impl Created {
    /// Lets the process execute its program. When that fails the process is gone; the control groups are the caller's.
    pub fn start(self) -> Result<Started> {
        let Self {
            pid,
            pidfd,
            terminal,
            end,
            ..
        } = self;
        if let Err(failure) = end.go() {
            discard(&pidfd);
            return Err(failure.into());
        }
        Ok(Started {
            pid,
            pidfd,
            terminal,
        })
    }
}

/// Lets the process behind a [`Gate::Listener`] execute its program.
pub fn start_at(path: &Path) -> Result<()> {
    let socket =
        SeqPacket::connect(path).map_err(Error::io(format!("connect to {}", path.display())))?;
    Ok(RuntimeEnd::connected(socket).go()?)
}
