//! Starts a program without copying the caller: clone with CLONE_VM and CLONE_VFORK on a stack of its own, then
//! `execveat` of an open file.
//!
//! A fork copies the page tables of the whole caller (3 to 13 ms at 200 MiB resident); this costs 0.04 ms whatever the
//! caller's size. The price: until its exec the child runs in the caller's memory, so it may do nothing but system
//! calls on values prepared beforehand, with every signal blocked so that no handler of the caller runs in it.

mod clone3;

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::rlimit;

/// A started process.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
}

/// The child needs little: the deepest frame is a `write`.
const STACK: usize = 64 * 1024;

/// Highest signal number of the kernel.
const SIGNALS: c_int = 64;

/// What the child reads, and the one thing it writes (`errno`).
struct Child<'a> {
    exe: RawFd,
    argv: &'a [*const c_char],
    envp: &'a [*const c_char],
    /// Source, target; the source is overwritten with its copy above all targets.
    fds: &'a mut [(RawFd, RawFd)],
    cgroups: &'a [OwnedFd],
    new_session: bool,
    descriptors: Option<libc::rlimit64>,
    errno: c_int,
}

/// Control groups that children enter, opened once for all of them.
#[derive(Debug, Default)]
pub struct Groups {
    /// The one of a cgroup2 hierarchy first.
    files: Vec<OwnedFd>,
    /// The directory of the first file, if that is a cgroup2 group: a child can be born in it.
    born_in: Option<OwnedFd>,
}

impl Groups {
    /// Opens groups by the paths of their `cgroup.procs` files (`tasks` of v1: see [`crate::cgroup::open_entry`]).
    pub fn open(paths: &[PathBuf]) -> io::Result<Self> {
        let mut groups = Self::default();
        for path in paths {
            let file = open_procs(path)?;
            match path.parent() {
                Some(directory) if groups.born_in.is_none() && is_cgroup2(&file)? => {
                    groups.born_in = Some(std::fs::File::open(directory)?.into());
                    groups.files.insert(0, file);
                }
                _ => groups.files.push(file),
            }
        }
        Ok(groups)
    }
}

/// Starts `exe` (an open executable, best a sealed memfd) with exactly these descriptors.
///
/// `fds` are placed at the numbers given; of 0, 1 and 2 those not named become `/dev/null`; all others are closed. The
/// child enters the `groups` before its exec, has no signal blocked and none ignored. A failure of the child up to and
/// including its exec is returned here.
pub fn spawn(
    exe: &OwnedFd,
    args: &[CString],
    env: &[CString],
    fds: &[(BorrowedFd<'_>, i32)],
    new_session: bool,
    groups: &Groups,
) -> io::Result<Spawned> {
    let argv = pointers(args);
    let envp = pointers(env);
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    let mut placed: Vec<(RawFd, RawFd)> = fds
        .iter()
        .map(|(fd, number)| (fd.as_raw_fd(), *number))
        .collect();
    for standard in 0..3 {
        if !placed.iter().any(|(_, target)| *target == standard) {
            placed.push((null.as_raw_fd(), standard));
        }
    }
    placed.sort_unstable_by_key(|(_, target)| *target);
    if placed.iter().any(|(_, target)| *target < 0)
        || placed.windows(2).any(|pair| pair[0].1 == pair[1].1)
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut child = Child {
        exe: exe.as_raw_fd(),
        argv: &argv,
        envp: &envp,
        fds: &mut placed,
        cgroups: &groups.files,
        new_session,
        descriptors: rlimit::given_descriptors(),
        errno: 0,
    };
    let Some(directory) = &groups.born_in else {
        return clone(&mut child, None);
    };
    child.cgroups = &groups.files[1..];
    match clone(&mut child, Some(directory.as_raw_fd())) {
        // No child came to be: a kernel before 5.7, or a filter that does not know clone3. Enter by writing.
        Err(error) if child.errno == 0 && error.raw_os_error() != Some(libc::EAGAIN) => {
            child.cgroups = &groups.files;
            clone(&mut child, None)
        }
        other => other,
    }
}

/// Takes the descriptor that this program was started with at `number` (below 64); `None`: there is none. Each is given
/// once only, since only one owner may close it. It is not passed on to programs executed from here.
pub fn inherited(number: i32) -> Option<OwnedFd> {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let bit = 1_u64.checked_shl(u32::try_from(number).ok()?)?;
    if TAKEN.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return None;
    }
    // SAFETY: sets a flag; refused when there is no such descriptor.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return None;
    }
    // SAFETY: open, and by contract with whoever started this program nobody else's: called before anything is opened.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn open_procs(path: &std::path::Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that lives until after the call.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn is_cgroup2(fd: &OwnedFd) -> io::Result<bool> {
    const CGROUP2_SUPER_MAGIC: u32 = 0x6367_7270;
    let kind = rustix::fs::fstatfs(fd)?.f_type;
    Ok(u32::try_from(kind).is_ok_and(|kind| kind == CGROUP2_SUPER_MAGIC))
}

/// Starts the child, in that cgroup2 group if one is given.
fn clone(child: &mut Child<'_>, group: Option<RawFd>) -> io::Result<Spawned> {
    let mut stack = vec![MaybeUninit::<u128>::uninit(); STACK / size_of::<u128>()];
    let mut pidfd: c_int = -1;
    let data = ptr::from_mut(child).cast::<c_void>();
    let old = block_all_signals()?;
    let (pid, error) = match group {
        Some(group) => {
            // SAFETY: `run` gets the `Child` it expects, makes system calls only and never returns; all is alive here.
            let pid = unsafe { clone3::clone3(run, data, &mut stack, &mut pidfd, group) };
            (pid, io::Error::from_raw_os_error(-pid))
        }
        None => plain_clone(data, &mut stack, &mut pidfd),
    };
    restore_signals(&old);
    if pid < 0 {
        return Err(error);
    }
    // SAFETY: the kernel stored a new descriptor there, since clone succeeded with CLONE_PIDFD.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    // SAFETY: a plain read of a field the child (gone from this memory) may have written behind the compiler's back.
    let errno = unsafe { ptr::read_volatile(&raw const child.errno) };
    if errno != 0 {
        reap(pid);
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(Spawned { pid, pidfd })
}

fn plain_clone(
    data: *mut c_void,
    stack: &mut [MaybeUninit<u128>],
    pidfd: &mut c_int,
) -> (c_int, io::Error) {
    // SAFETY: the one-past-the-end pointer of the allocation; stacks grow down from it, 16-aligned as u128 is.
    let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: `run` gets the `Child` it expects; stack, child and pidfd outlive it, since CLONE_VFORK holds this thread
    // until the child has executed its program or ended.
    let pid = unsafe { libc::clone(run, top.cast::<c_void>(), flags, data, ptr::from_mut(pidfd)) };
    (pid, io::Error::last_os_error())
}

fn reap(pid: i32) {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result; the child is ours and has ended.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

fn block_all_signals() -> io::Result<libc::sigset_t> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `all`.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was initialised above; `old` is a valid place for the previous mask.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: filled by pthread_sigmask, which succeeded.
    Ok(unsafe { old.assume_init() })
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: a mask that the kernel gave.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old, ptr::null_mut()) };
}

/// The child's life up to its exec, in the caller's memory: system calls only.
extern "C" fn run(child: *mut c_void) -> c_int {
    // SAFETY: `clone` passed a `Child` and is suspended, so nobody else touches it.
    let child = unsafe { &mut *child.cast::<Child<'_>>() };
    let errno = prepare(child)
        .and_then(|exe| exec(exe, child))
        .err()
        .unwrap_or(libc::EINVAL);
    // SAFETY: the field belongs to this process until it ends; volatile, as the parent reads it in another process.
    unsafe { ptr::write_volatile(&raw mut child.errno, errno) };
    // SAFETY: ends this process at once, without the caller's exit handlers.
    unsafe { libc::_exit(127) }
}

fn check(result: c_int) -> Result<c_int, c_int> {
    if result >= 0 {
        return Ok(result);
    }
    // SAFETY: no arguments.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the thread's own errno; the suspended parent thread shares it and does not use it.
    Err(unsafe { *errno })
}

fn prepare(child: &mut Child<'_>) -> Result<RawFd, c_int> {
    for procs in child.cgroups {
        // SAFETY: writes one byte of a static string to a descriptor that the parent holds open.
        let written = unsafe { libc::write(procs.as_fd().as_raw_fd(), c"0".as_ptr().cast(), 1) };
        check(if written == 1 { 0 } else { -1 })?;
    }
    if child.new_session {
        // SAFETY: no arguments.
        check(unsafe { libc::setsid() })?;
    }
    let exe = place(child)?;
    if let Some(limit) = &child.descriptors {
        // SAFETY: a valid limit to read, of this process alone: a child that shares the memory shares no limits.
        check(unsafe { libc::prlimit64(0, rlimit::NOFILE, limit, ptr::null_mut()) })?;
    }
    for signal in 1..=SIGNALS {
        // SIGKILL, SIGSTOP and the C library's own two are refused; all others are what matters.
        // SAFETY: the default disposition installs no code.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `none`.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: `none` was initialised above. Handlers are back to default, so no code of the caller's can run here.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
    Ok(exe)
}

/// Puts every descriptor at its number and marks all others to be closed by the exec. Sources are first copied above all
/// targets, so that no move overwrites the source of a later one.
fn place(child: &mut Child<'_>) -> Result<RawFd, c_int> {
    let above = child.fds.last().map_or(3, |(_, target)| target + 1);
    // SAFETY: duplicates a descriptor of this process.
    let exe = check(unsafe { libc::fcntl(child.exe, libc::F_DUPFD_CLOEXEC, above) })?;
    for (source, _) in child.fds.iter_mut() {
        // SAFETY: duplicates a descriptor of this process.
        *source = check(unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, above) })?;
    }
    let mut next = 0;
    for (source, target) in child.fds.iter() {
        // SAFETY: the table is this process's own (no CLONE_FILES); what stood at `target` is meant to go.
        check(unsafe { libc::dup2(*source, *target) })?;
        close_on_exec(next, *target - 1)?;
        next = *target + 1;
    }
    close_on_exec(next, RawFd::MAX)?;
    Ok(exe)
}

fn close_on_exec(first: RawFd, last: RawFd) -> Result<(), c_int> {
    if first > last {
        return Ok(());
    }
    // SAFETY: only sets flags in this process's own descriptor table.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(if result == 0 { 0 } else { -1 }).map(drop)
}

fn exec(exe: RawFd, child: &Child<'_>) -> Result<c_int, c_int> {
    // SAFETY: argv and envp are null-terminated arrays of C strings that the suspended parent keeps alive.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            exe,
            c"".as_ptr(),
            child.argv.as_ptr(),
            child.envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(if result == 0 { 0 } else { -1 })
}

#[cfg(test)]
mod tests;
