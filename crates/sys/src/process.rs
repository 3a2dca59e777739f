//! Processes: cloning into namespaces, credentials, executing, waiting.
//!
//! [`SingleThreaded`] is what makes cloning without CLONE_VM safe: the child of a process with one thread may do
//! whatever its parent may, allocate included.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

mod pidfd;
mod title;

pub use pidfd::PidFd;
pub use rustix::process::Signal;
pub use title::Title;

/// Namespace flags of clone3 and setns.
pub mod namespace {
    /// Mounts.
    pub const MOUNT: u64 = 0x0002_0000;
    /// Control groups.
    pub const CGROUP: u64 = 0x0200_0000;
    /// Host and domain name.
    pub const UTS: u64 = 0x0400_0000;
    /// System V and POSIX message queues, shared memory.
    pub const IPC: u64 = 0x0800_0000;
    /// Users.
    pub const USER: u64 = 0x1000_0000;
    /// Process ids.
    pub const PID: u64 = 0x2000_0000;
    /// Network.
    pub const NETWORK: u64 = 0x4000_0000;
    /// Clocks.
    pub const TIME: u64 = 0x80;
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Proof that this process has exactly one thread. Neither `Send` nor `Sync`; cannot be forged.
#[derive(Debug)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Counts the threads of this process.
    pub fn prove() -> io::Result<Self> {
        let proof = Self(PhantomData);
        check_threads()?;
        Ok(proof)
    }
}

/// Counted for the proof and again at each clone: a thread born later would make it stale.
fn check_threads() -> io::Result<()> {
    // st_nlink of /proc/self/task is 2 + the number of threads.
    if rustix::fs::stat("/proc/self/task")?.st_nlink != 3 {
        return Err(io::Error::other("the process has more than one thread"));
    }
    Ok(())
}

/// Which side of a clone this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The caller.
    Parent(Child),
}

/// A child of this process.
#[derive(Debug)]
pub struct Child {
    /// Its process id, as the caller sees it.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Clones this process into new namespaces (`flags` of [`namespace`]), optionally into a cgroup2 directory.
pub fn clone(_: &SingleThreaded, flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    check_threads()?;
    let mut pidfd: c_int = -1;
    let mut args = CloneArgs {
        flags: flags | CLONE_PIDFD,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd().cast_unsigned().into();
    }
    // SAFETY: a valid argument block of that size; no CLONE_VM, so the child has its own copy of this stack, and the
    // proof says that no other thread can have left a lock taken in it.
    let mut pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    // Docker's filter denies clone3 inside containers, where our init runs: it cannot see what the block asks for.
    if pid == -1
        && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
        && cgroup.is_none()
    {
        let flags = args.flags | args.exit_signal;
        // SAFETY: as above, without a stack: the child has a copy of this one. The kernel stores the descriptor where
        // clone has the parent's thread id; the last two arguments, whose order differs by processor, are unused.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, ptr::from_mut(&mut pidfd), 0, 0) };
    }
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor there, since the call succeeded with CLONE_PIDFD.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).map_err(io::Error::other)?;
            Ok(Forked::Parent(Child { pid, pidfd }))
        }
    }
}

/// Ends this process at once, without exit handlers: the only way out of a cloned child that cannot execute.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a status.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
}

impl Ended {
    /// The shell's number: the status, or 128 + the signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }

    fn from_status(status: c_int) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signaled(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// Waits for one child.
pub fn wait(pid: i32) -> io::Result<Ended> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result.
        let got = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if got == pid {
            return Ok(Ended::from_status(status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps one ended child of any, without waiting; `None`: none has ended.
pub fn reap_any() -> io::Result<Option<(i32, Ended)>> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some((pid, Ended::from_status(status)))),
    }
}

/// Sends a signal (0: only asks) to the process of a pidfd.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: integers and a null siginfo.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

/// Sends a signal by number of process.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: integers.
    cvt(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

pub(crate) fn cvt(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn prctl(option: c_int, a: c_ulong, b: c_ulong) -> io::Result<()> {
    // SAFETY: only options that take integers are passed by this module.
    cvt(unsafe { libc::prctl(option, a, b, 0, 0) }.into()).map(drop)
}

/// Whether others of the same user may trace this process and look into its /proc directory.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, c_ulong::from(dumpable), 0)
}

/// The signal this process gets when its parent ends; cleared by every change of credentials.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    prctl(
        libc::PR_SET_PDEATHSIG,
        c_ulong::from(signal.cast_unsigned()),
        0,
    )
}

/// Orphaned descendants become children of this process.
pub fn set_child_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
}

/// Children of this process that end are gone at once: nobody has to wait for them (`SA_NOCLDWAIT` of sigaction(2)).
/// Programs that it executes have the default again.
pub fn disown_children() -> io::Result<()> {
    // SAFETY: all zero is the default disposition with an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_flags = libc::SA_NOCLDWAIT;
    // SAFETY: no handler is installed: the disposition stays the default.
    match unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// No program executed from here on gains privileges.
pub fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Joins namespaces of the process (pidfd) or of the namespace file that `fd` is.
pub fn setns(_: &SingleThreaded, fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    let flags = c_int::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: integers; the proof says that no other thread shares what is changed.
    cvt(unsafe { libc::setns(fd.as_raw_fd(), flags) }.into()).map(drop)
}

/// Leaves namespaces for new ones.
pub fn unshare(_: &SingleThreaded, flags: u64) -> io::Result<()> {
    let flags = c_int::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: integers; the proof says that no other thread shares what is changed.
    cvt(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// Begins a session without a controlling terminal.
pub fn new_session() -> io::Result<()> {
    Ok(rustix::process::setsid().map(drop)?)
}

/// Makes a terminal the controlling one of this session.
pub fn set_controlling_terminal(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an integer argument.
    cvt(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}

/// Changes the file mode creation mask.
pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask & 0o777));
}

/// Replaces supplementary groups, group and user (all ids), keeping the permitted capabilities for
/// [`crate::caps::set`] to cut down.
pub fn set_user(_: &SingleThreaded, uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length of one slice.
    cvt(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    // SAFETY: integers; the raw call, as the proof says that there is no other thread to be told.
    cvt(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    prctl(libc::PR_SET_KEEPCAPS, 1, 0)?;
    // SAFETY: as above.
    cvt(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Joins a fresh session keyring of this name; a kernel without keyrings has nothing to hide.
pub fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: a C string that lives until after the call.
    let result =
        cvt(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) });
    match result {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => Err(error),
        _ => Ok(()),
    }
}

/// Names the host of this UTS namespace.
pub fn set_host_name(name: &str) -> io::Result<()> {
    Ok(rustix::system::sethostname(name.as_bytes())?)
}

/// Names the domain of this UTS namespace.
pub fn set_domain_name(name: &str) -> io::Result<()> {
    Ok(rustix::system::setdomainname(name.as_bytes())?)
}

/// Makes `fds` the standard streams, whatever their numbers are.
pub fn place_standard_streams(fds: [OwnedFd; 3]) -> io::Result<()> {
    // Copies above 2 first: a source may be a target of another.
    let mut high = Vec::with_capacity(3);
    for fd in &fds {
        high.push(rustix::io::fcntl_dupfd_cloexec(fd, 3)?);
    }
    // The originals may be 0 to 2 themselves; they are not to be closed after they have been replaced.
    for fd in fds {
        if fd.as_raw_fd() <= 2 {
            std::mem::forget(fd);
        }
    }
    for (number, fd) in (0..).zip(&high) {
        // SAFETY: duplicates onto a standard stream, which nobody owns as an `OwnedFd`.
        cvt(unsafe { libc::dup3(fd.as_raw_fd(), number, 0) }.into())?;
    }
    Ok(())
}

/// Marks every descriptor from `first` on close-on-exec.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: c_int = 4;
    // SAFETY: integers; closes nothing.
    cvt(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Program, arguments and environment in the kernel's form, made before it is needed.
#[derive(Debug)]
pub struct Image {
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    /// Copies the strings; a NUL in one is an error.
    pub fn new(args: &[impl AsRef<[u8]>], env: &[impl AsRef<[u8]>]) -> io::Result<Self> {
        let convert = |strings: Vec<&[u8]>| {
            strings
                .into_iter()
                .map(CString::new)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            args: convert(args.iter().map(AsRef::as_ref).collect())?,
            env: convert(env.iter().map(AsRef::as_ref).collect())?,
        })
    }

    /// Becomes the program at `path`; returns only when that failed.
    pub fn execute(&self, path: &CStr) -> io::Error {
        let (argv, envp) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: null-terminated arrays of C strings that live until after the call.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        io::Error::last_os_error()
    }

    /// Becomes the program that is open as `fd`; returns only when that failed.
    pub fn execute_fd(&self, fd: BorrowedFd<'_>) -> io::Error {
        let (argv, envp) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: an empty path for AT_EMPTY_PATH and null-terminated arrays that live until after the call.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                fd.as_raw_fd(),
                c"".as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let ends = [ptr::null()];
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain(ends)
        .collect()
}

/// The numeric error of an [`io::Error`], 0 without one.
pub fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// Whether the caller may execute what the path (from this process's root) names; follows links, checks effective ids.
pub fn may_execute(path: &CStr) -> io::Result<()> {
    // SAFETY: a C string that lives until after the call.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::X_OK,
            libc::AT_EACCESS,
        )
    })
    .map(drop)
}

/// Changes into the directory that `fd` is.
pub fn change_directory_fd(_: &SingleThreaded, fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::fchdir(fd)?)
}

/// Changes into a directory by path.
pub fn change_directory(_: &SingleThreaded, path: &str) -> io::Result<()> {
    Ok(rustix::process::chdir(path)?)
}

/// The current directory as the kernel names it; `(unreachable)…` when it lies outside the root.
pub fn current_directory() -> io::Result<Vec<u8>> {
    Ok(rustix::process::getcwd(Vec::new())?.into_bytes())
}

/// Makes this process the leader of a group of its own, in the foreground of its terminal when it has one.
///
/// SIGTTOU must be ignored or blocked.
pub fn lead_foreground_group() {
    // SAFETY: integers.
    if unsafe { libc::setpgid(0, 0) } == 0 {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        // SAFETY: integers; without a controlling terminal this fails, which is no harm.
        unsafe { libc::tcsetpgrp(0, group) };
    }
}
