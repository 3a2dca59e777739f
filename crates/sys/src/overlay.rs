//! Overlay mounts that are attached nowhere: built with fsopen, handed over as a descriptor, gone when it is closed.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

/// The most lower layers that overlayfs takes (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;

/// A value of fsconfig is at most 255 bytes; longer paths go by descriptor.
const MAX_VALUE: usize = 250;

/// Mounts an overlay of `lower` (topmost first) and returns it detached.
///
/// `upper_work` is the writable layer with its scratch directory; without it the mount is read-only and needs two lower
/// layers. `volatile` leaves out every sync: what was written may be lost with the machine.
pub fn mount(
    lower: &[&Path],
    upper_work: Option<(&Path, &Path)>,
    volatile: bool,
) -> io::Result<OwnedFd> {
    if lower.is_empty() || lower.len() > MAX_LAYERS {
        let text = format!(
            "mount overlay: {} lower layers (1 to {MAX_LAYERS} are possible)",
            lower.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if joined::one_by_one()? {
        return mount_layers(lower, None, upper_work, volatile);
    }
    let together = joined::Joined::new(lower)?;
    if together.is_short() {
        return mount_layers(lower, Some(&together), upper_work, volatile);
    }
    joined::mount_by_options(lower, upper_work, volatile).map_err(|error| {
        let text = format!("mount overlay of {} layers: {error}", lower.len());
        io::Error::new(error.kind(), text)
    })
}

/// By fsopen: the layers one by one, or together.
fn mount_layers(
    lower: &[&Path],
    together: Option<&joined::Joined>,
    upper_work: Option<(&Path, &Path)>,
    volatile: bool,
) -> io::Result<OwnedFd> {
    let fs = mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|error| failed("fsopen", error, None))?;
    let context = rustix::fd::AsFd::as_fd(&fs);
    let set = |key: &str, value: &str| {
        mount::fsconfig_set_string(context, key, value)
            .map_err(|error| failed(&format!("{key}={value}"), error, Some(context)))
    };
    // The source is what mountinfo and df show; index and xino would tie the layers to inode numbers, redirects and
    // metacopies would make a layer depend on more than its own files.
    set("source", "overlay")?;
    for key in ["index", "xino", "metacopy", "redirect_dir"] {
        set(key, "off")?;
    }
    let mut held = Vec::new();
    if let Some(together) = together {
        joined::set(context, together)?;
    }
    let one_by_one = if together.is_some() { &[] } else { lower };
    for (position, path) in one_by_one.iter().enumerate() {
        set_path(context, "lowerdir+", path, &mut held).map_err(|error| {
            let text = format!("{error} (lowerdir+ {} of {})", position + 1, lower.len());
            io::Error::new(error.kind(), text)
        })?;
    }
    if let Some((upper, work)) = upper_work {
        set_path(context, "upperdir", upper, &mut held)?;
        set_path(context, "workdir", work, &mut held)?;
        if volatile {
            mount::fsconfig_set_flag(context, "volatile")
                .map_err(|error| failed("volatile", error, Some(context)))?;
        }
    }
    mount::fsconfig_create(context).map_err(|error| failed("create", error, Some(context)))?;
    let attributes = if upper_work.is_some() {
        MountAttrFlags::empty()
    } else {
        MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|error| failed("fsmount", error, Some(context)))
}

/// Sets a path; one that is too long is opened and named through this process's descriptors.
fn set_path(
    context: BorrowedFd<'_>,
    key: &str,
    path: &Path,
    held: &mut Vec<OwnedFd>,
) -> io::Result<()> {
    let mut path = path.to_owned();
    let bytes = path.as_os_str().as_bytes();
    // Old kernels join all settings by commas.
    if bytes.len() > MAX_VALUE || bytes.contains(&b',') {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        held.push(fd);
    }
    mount::fsconfig_set_string(context, key, path.as_os_str())
        .map_err(|error| failed(&format!("{key}={}", path.display()), error, Some(context)))
}

/// An error with what was attempted and what the kernel wrote into the context's log.
fn failed(what: &str, error: Errno, context: Option<BorrowedFd<'_>>) -> io::Error {
    let error = io::Error::from(error);
    let mut text = format!("mount overlay: {what}: {error}");
    let mut buffer = [0; 512];
    while let Some(Ok(length)) = context.map(|context| rustix::io::read(context, &mut buffer)) {
        if length == 0 {
            break;
        }
        if write!(
            text,
            "; {}",
            String::from_utf8_lossy(&buffer[..length]).trim_end()
        )
        .is_err()
        {
            break;
        }
    }
    io::Error::new(error.kind(), text)
}

mod joined;
#[cfg(test)]
mod tests;
