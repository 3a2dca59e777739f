//! The lower layers as one joined value, for kernels that do not take them one by one: `lowerdir+` came with Linux 6.7,
//! and Debian 12 has 6.1.
//!
//! A value of fsconfig is at most 255 bytes, which paths by descriptor stretch to a dozen layers. More go to mount(2),
//! which has a page: in a mount namespace of a thread born for it, so that nothing is ever attached where others see it.
//! That thread works in the directory of its descriptors, so that their numbers alone name all the layers there can be.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{self, FsOpenFlags, MountFlags, MountPropagationFlags, OpenTreeFlags};
use rustix::thread::UnshareFlags;

use super::MAX_VALUE;

/// Whether overlayfs takes its lower layers one by one. Asked once.
pub(super) fn one_by_one() -> io::Result<bool> {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let fs = mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let takes = |key: &str, value: &str| mount::fsconfig_set_string(&fs, key, value).is_ok();
    // Before Linux 6.5 any word is taken, and refused at the mount.
    let known = !takes("corten", "asks") && takes("lowerdir+", "/");
    Ok(*KNOWN.get_or_init(|| known))
}

/// Where a process finds its descriptors.
const DESCRIPTORS: &str = "/proc/self/fd/";

/// Paths as one value: `path:path`, each as it is, or where that would be too long or would need escapes, by descriptor.
pub(super) struct Joined {
    pub(super) value: OsString,
    _held: Vec<OwnedFd>,
}

impl Joined {
    pub(super) fn new(paths: &[&Path]) -> io::Result<Self> {
        Self::named(paths, DESCRIPTORS)
    }

    /// Those that go by descriptor are named below `descriptors`.
    fn named(paths: &[&Path], descriptors: &str) -> io::Result<Self> {
        let plain = paths
            .iter()
            .map(|path| path.as_os_str().as_bytes())
            .collect::<Vec<_>>()
            .join(&b':');
        let special = paths.iter().any(|path| {
            let bytes = path.as_os_str().as_bytes();
            bytes.iter().any(|byte| b":,\\".contains(byte))
        });
        if plain.len() <= MAX_VALUE && !special {
            return Ok(Self {
                value: OsString::from_vec(plain),
                _held: Vec::new(),
            });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = paths
            .iter()
            .map(|path| Ok(rustix::fs::open(*path, flags, Mode::empty())?))
            .collect::<io::Result<Vec<OwnedFd>>>()?;
        let names: Vec<String> = held
            .iter()
            .map(|fd| format!("{descriptors}{}", fd.as_raw_fd()))
            .collect();
        Ok(Self {
            value: names.join(":").into(),
            _held: held,
        })
    }

    /// Whether fsconfig takes it.
    pub(super) fn is_short(&self) -> bool {
        self.value.len() <= MAX_VALUE
    }
}

/// Mounts by mount(2) and returns the mount detached.
pub(super) fn mount_by_options(
    lower: &[&Path],
    upper_work: Option<(&Path, &Path)>,
    volatile: bool,
) -> io::Result<OwnedFd> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("overlay".into())
            .spawn_scoped(scope, || mount_here(lower, upper_work, volatile))?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The same on a thread that is given up for it.
fn mount_here(
    lower: &[&Path],
    upper_work: Option<(&Path, &Path)>,
    volatile: bool,
) -> io::Result<OwnedFd> {
    unshare_mounts()?;
    let propagation = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount::mount_change("/", propagation)?;
    rustix::process::chdir(DESCRIPTORS)?;
    // Opened in here: overlayfs takes no directory of another mount namespace.
    let lower = Joined::named(lower, "")?;
    let mut options = b"index=off,xino=off,metacopy=off,redirect_dir=off,lowerdir=".to_vec();
    options.extend(lower.value.as_bytes());
    let mut held = Vec::new();
    if let Some((upper, work)) = upper_work {
        for (key, path) in [("upperdir", upper), ("workdir", work)] {
            let path = Joined::new(&[path])?;
            options.extend(format!(",{key}=").into_bytes());
            options.extend(path.value.as_bytes());
            held.push(path);
        }
        if volatile {
            options.extend(b",volatile");
        }
    }
    let options = CString::new(options)?;
    let flags = if upper_work.is_some() {
        MountFlags::empty()
    } else {
        MountFlags::RDONLY
    };
    // Any directory will do: nobody else is in this namespace.
    mount::mount(
        "overlay",
        "/proc",
        "overlay",
        flags,
        Some(options.as_c_str()),
    )?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(mount::open_tree(CWD, "/proc", clone)?)
}

fn unshare_mounts() -> io::Result<()> {
    // SAFETY: CLONE_NEWNS and CLONE_FS change the calling thread alone and touch neither its memory nor its descriptors;
    // the thread was born for this and ends after it.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
    Ok(())
}

/// Sets the joined value where fsconfig takes it.
pub(super) fn set(context: BorrowedFd<'_>, lower: &Joined) -> io::Result<()> {
    Ok(mount::fsconfig_set_string(
        context,
        "lowerdir",
        lower.value.as_os_str(),
    )?)
}
