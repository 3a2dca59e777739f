//! The last part of a container's process, the same for the first one and for an exec: streams, working directory,
//! limits, credentials, filter, program.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ::seccomp::Filter;
use sys::mount::{self, TrustedProc};
use sys::process::{self, Image, SingleThreaded};
use sys::root::{OpenFlags, RootDir};
use sys::{caps, rlimit, seccomp};

use crate::error::{Failure, Stage, Step, text};
use crate::plan::Process;

/// Largest /etc/passwd that is read for HOME.
const MAX_PASSWD: u64 = 4 << 20;

/// A process whose exec alone is left.
pub(crate) struct Prepared {
    image: Image,
    program: Program,
    filter: Filter,
    sets: caps::Sets,
    ambient: u64,
    no_new_privileges: bool,
}

enum Program {
    Path(CString),
    /// Our own init; a sealed memory file.
    Init(OwnedFd),
}

/// What of a process needs the host: /proc of a plan without one is made here, too.
pub(crate) fn write_proc(
    process: &Process,
    proc: &TrustedProc,
    warnings: &mut Vec<String>,
) -> Result<(), Failure> {
    if let Some(score) = process.oom_score_adj {
        match proc.write("self/oom_score_adj", &score.to_string()) {
            // Lowering needs CAP_SYS_RESOURCE: what the caller may have is the least there is.
            Err(error) if is_denied(&error) => {
                warnings.push(format!("oom_score_adj {score} is not permitted here"));
            }
            other => other.step(|| "set oom_score_adj")?,
        }
    }
    if !process.apparmor_profile.is_empty() && process.apparmor_profile != "unconfined" {
        let value = format!("exec {}", process.apparmor_profile);
        proc.write("self/attr/apparmor/exec", &value)
            .step(|| "set AppArmor profile")?;
    }
    Ok(())
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Sets limits; what is not permitted is cut and reported.
pub(crate) fn limit(process: &Process, warnings: &mut Vec<String>) -> Result<(), Failure> {
    for &(number, soft, hard) in &process.rlimits {
        if !rlimit::set(number, soft, hard).step(|| format!("set resource limit {number}"))? {
            warnings.push(format!(
                "resource limit {number} is cut: raising it is not permitted here"
            ));
        }
    }
    Ok(())
}

/// Makes streams and controlling terminal.
pub(crate) fn streams(fds: [OwnedFd; 3], terminal: bool, uid: u32) -> Result<(), Failure> {
    process::new_session().step(|| "begin a session")?;
    for fd in &fds {
        let is_own_terminal = terminal;
        // A pipe or terminal belongs to the user, who may open it again as /dev/stdout. The null device and files of the
        // host are left alone (CVE-2026-88265).
        if is_own_terminal || mount::is_pipe(fd.as_fd()).unwrap_or(false) {
            mount::give_to(fd.as_fd(), uid).ok();
        }
    }
    process::place_standard_streams(fds).step(|| "place standard streams")?;
    if terminal {
        process::set_controlling_terminal(io::stdin().as_fd())
            .step(|| "set controlling terminal")?;
    }
    Ok(())
}

/// Enters the working directory: the root is the container's.
fn enter(proof: &SingleThreaded, cwd: &str) -> io::Result<()> {
    process::change_directory(proof, cwd)?;
    // A directory outside the root, through a descriptor left open (CVE-2024-21626).
    if !process::current_directory()?.starts_with(b"/") {
        return Err(io::Error::other(
            "the directory is not inside the container",
        ));
    }
    Ok(())
}

fn working_directory(cwd: &str, error: &io::Error) -> Failure {
    Failure::new(
        Stage::WorkingDirectory,
        format!("chdir to cwd ({cwd:?}) set in config.json failed"),
        error,
    )
}

/// Does all but the exec. The mount namespace, root and all namespaces are the container's.
pub(crate) fn prepare(
    proof: &SingleThreaded,
    plan: &Process,
    init: Option<OwnedFd>,
    parent_death: Option<i32>,
) -> Result<Prepared, Failure> {
    // As root at first (a directory of mode 0700 of another user's), as the user if root may not (NFS).
    let entered = enter(proof, &plan.cwd);
    caps::limit_bounding(plan.bounding).step(|| "limit bounding capabilities")?;
    let before = caps::get().step(|| "read capabilities")?;
    process::set_umask(plan.umask.unwrap_or(0o022));
    let groups = with_primary(plan);
    process::set_user(proof, plan.uid, plan.gid, &groups).step(|| "set user and groups")?;
    match entered {
        Err(error) if is_denied(&error) => {
            enter(proof, &plan.cwd).map_err(|error| working_directory(&plan.cwd, &error))?;
        }
        other => other.map_err(|error| working_directory(&plan.cwd, &error))?,
    }
    // Changing the user has emptied the effective set; the filter needs it once more, the lookup of the program must
    // not have it.
    let sets = caps::Sets {
        effective: plan.effective & before.permitted,
        permitted: plan.permitted & before.permitted,
        inheritable: plan.ambient & before.permitted,
    };
    caps::set(caps::Sets {
        effective: sets.effective,
        permitted: before.permitted,
        inheritable: 0,
    })
    .step(|| "set capabilities")?;
    if let Some(signal) = parent_death {
        process::set_parent_death_signal(signal).step(|| "set parent death signal")?;
    }
    let env = environment(plan);
    let path = look_up(&plan.args, &env)?;
    let (image, program) = match init {
        Some(fd) => {
            let own = ["corten", "init", "--"].map(str::to_owned);
            let args: Vec<String> = own.into_iter().chain(plan.args.iter().cloned()).collect();
            (Image::new(&args, &env), Program::Init(fd))
        }
        None => (Image::new(&plan.args, &env), Program::Path(path)),
    };
    Ok(Prepared {
        image: image.step(|| "build arguments")?,
        program,
        filter: plan.seccomp.clone(),
        ambient: plan.ambient & sets.permitted,
        sets,
        no_new_privileges: plan.no_new_privileges,
    })
}

fn with_primary(plan: &Process) -> Vec<u32> {
    let mut groups = plan.additional_gids.clone();
    if !groups.contains(&plan.gid) {
        groups.insert(0, plan.gid);
    }
    groups
}

impl Prepared {
    /// Becomes the program. After the filter only the calls that a program needs anyway are made: capset, execve.
    pub(crate) fn execute(self) -> Failure {
        match self.last_steps() {
            Err(failure) => failure,
            Ok(()) => {
                let error = match &self.program {
                    Program::Path(path) => self.image.execute(path),
                    Program::Init(fd) => self.image.execute_fd(fd.as_fd()),
                };
                let path = match &self.program {
                    Program::Path(path) => path.to_string_lossy().into_owned(),
                    Program::Init(_) => "init".to_owned(),
                };
                let stage = match error.raw_os_error() {
                    // A script whose interpreter is missing, too, as Docker has it.
                    Some(code) if code == libc_enoent() => Stage::NotFound,
                    _ => Stage::NotExecutable,
                };
                Failure::new(stage, format!("exec {path}"), &error)
            }
        }
    }

    fn last_steps(&self) -> Result<(), Failure> {
        process::close_on_exec_from(3).step(|| "close descriptors")?;
        sys::signal::reset();
        if self.no_new_privileges {
            process::set_no_new_privileges().step(|| "set no_new_privs")?;
        }
        if !self.filter.program.is_empty() {
            let now = caps::get().step(|| "read capabilities")?;
            // CAP_SYS_ADMIN for the filter alone, unless no_new_privs makes it needless.
            let all = caps::Sets {
                effective: now.permitted,
                ..now
            };
            caps::set(all).step(|| "set capabilities")?;
        }
        // Ambient capabilities must be inheritable and permitted when they are raised, and stay through capset.
        if self.ambient != 0 {
            let now = caps::get().step(|| "read capabilities")?;
            caps::set(caps::Sets {
                inheritable: self.ambient,
                ..now
            })
            .step(|| "set capabilities")?;
        }
        caps::set_ambient(self.ambient).step(|| "set ambient capabilities")?;
        if !self.filter.program.is_empty() {
            seccomp::load(&self.filter.program, self.filter.flags)
                .step(|| "load seccomp filter")?;
        }
        caps::set(self.sets).step(|| "set capabilities")
    }
}

/// ENOENT, without libc in this crate.
fn libc_enoent() -> i32 {
    2
}

/// The environment, with HOME from the container's passwd when the plan names none.
fn environment(plan: &Process) -> Vec<String> {
    let mut env = plan.env.clone();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!(
            "HOME={}",
            home(plan.uid).unwrap_or_else(|| "/".to_owned())
        ));
    }
    env
}

fn home(uid: u32) -> Option<String> {
    let root = RootDir::open_path(Path::new("/")).ok()?;
    let passwd = root.read_small(Path::new("/etc/passwd"), MAX_PASSWD).ok()?;
    let passwd = String::from_utf8_lossy(&passwd);
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let found = fields.next()?.parse::<u32>().ok()? == uid;
        let home = fields.nth(2)?;
        (found && !home.is_empty()).then(|| home.to_owned())
    })
}

/// Finds the program as execvp does, with Go's words for failures, which are Docker's.
fn look_up(args: &[String], env: &[String]) -> Result<CString, Failure> {
    let name = args.first().map_or("", String::as_str);
    if name.contains('/') {
        return executable(name).map_err(|(error, what)| {
            let missing = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            );
            let detail = if what {
                format!("stat {name}: {}", text(&error))
            } else if error.kind() == io::ErrorKind::IsADirectory {
                // Go's execve of a directory ends in EACCES, and Docker's words name both.
                "is a directory: permission denied".to_owned()
            } else {
                text(&error)
            };
            Failure {
                stage: if missing {
                    Stage::NotFound
                } else {
                    Stage::NotExecutable
                },
                errno: process::errno(&error),
                message: format!("exec: {name:?}: {detail}"),
            }
        });
    }
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or_default();
    for directory in path.split(':').filter(|_| !name.is_empty()) {
        // An empty element means the working directory, which is never searched unasked.
        if !directory.starts_with('/') {
            continue;
        }
        if let Ok(found) = executable(&format!("{}/{name}", directory.trim_end_matches('/'))) {
            return Ok(found);
        }
    }
    Err(Failure {
        stage: Stage::NotFound,
        errno: libc_enoent(),
        message: format!("exec: {name:?}: executable file not found in $PATH"),
    })
}

/// Whether the path names a file that may be executed; the error says whether it was the stat that failed.
fn executable(path: &str) -> Result<CString, (io::Error, bool)> {
    let metadata = std::fs::metadata(path).map_err(|error| (error, true))?;
    if metadata.is_dir() {
        return Err((io::Error::from_raw_os_error(21), false));
    }
    let path = CString::new(path).map_err(|error| (error.into(), false))?;
    process::may_execute(&path).map_err(|error| (error, false))?;
    Ok(path)
}

/// Opens a pseudo-terminal of the devpts in the container's /dev/pts (CVE-2025-52565: nothing there is trusted by name).
pub(crate) fn open_terminal(root: &RootDir) -> Result<sys::pty::Pty, Failure> {
    let flags = OpenFlags::PATH | OpenFlags::DIRECTORY;
    let directory = root
        .open(Path::new("/dev/pts"), flags, 0)
        .step(|| "open /dev/pts")?;
    let magic = mount::filesystem_magic(directory.as_fd()).step(|| "stat /dev/pts")?;
    if magic != mount::magic::DEVPTS {
        return Err(Failure::setup(
            "open a terminal",
            &io::Error::other("/dev/pts is not a devpts"),
        ));
    }
    sys::pty::open_in(directory.as_fd()).step(|| "open a terminal")
}
