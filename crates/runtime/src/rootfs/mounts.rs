//! One mount: made detached, dressed, moved onto its target.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::mount::{self, Change, TrustedProc, attribute, propagation};
use sys::root::{FileKind, OpenFlags};

use super::Tree;
use crate::error::{Failure, Step};
use crate::plan::{Mount, NamespaceKind, Plan, Source};

/// The pieces of which /sys/fs/cgroup is made where it is not one cgroup2: name and the container's group of each v1
/// hierarchy.
pub(super) fn cgroup_sources(plan: &Plan) -> Result<Vec<(String, OwnedFd)>, Failure> {
    let Some(group) = &plan.cgroup else {
        return Ok(Vec::new());
    };
    let mut sources = Vec::with_capacity(group.v1.len());
    for (controllers, mount) in &group.v1 {
        let path = format!("{mount}{}", group.path);
        let tree = mount::clone_path(Path::new(&path), false)
            .step(|| format!("open control group {path}"))?;
        sources.push((controllers.join(","), tree));
    }
    if group.is_v2()
        && !plan
            .namespaces
            .iter()
            .any(|(kind, _)| *kind == NamespaceKind::Cgroup)
        && let Some(mount) = &group.v2
    {
        let tree = mount::clone_path(Path::new(mount), false)
            .step(|| format!("open control group {mount}"))?;
        sources.push((String::new(), tree));
    }
    Ok(sources)
}

/// Places whose names must be what they say: a symbolic link there is refused (CVE-2023-27561, CVE-2026-41579).
fn must_be_ordinary(destination: &str) -> bool {
    matches!(
        destination,
        "/proc" | "/sys" | "/dev" | "/dev/pts" | "/sys/fs/cgroup"
    )
}

impl Tree {
    /// Makes one mount.
    pub(super) fn mount(
        &mut self,
        plan: &Plan,
        entry: &Mount,
        mut sources: Vec<(String, OwnedFd)>,
    ) -> Result<(), Failure> {
        let what = || format!("mount at {}", entry.destination);
        match &entry.source {
            Source::Filesystem {
                kind,
                device,
                options,
            } => {
                let target = self.target(entry, true)?;
                let mut options: Vec<(&str, Option<&str>)> = options
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_deref()))
                    .collect();
                let mode;
                if takes_mode(&entry.source) {
                    mode = mode_below(&target).step(what)?;
                    options.push(("mode", Some(&mode)));
                }
                let made = mount::filesystem(kind, device, &options, entry.attributes.0)
                    .step(|| format!("make {kind} for {}", entry.destination))?;
                spread(entry, &made).step(what)?;
                mount::attach(made.as_fd(), target.as_fd()).step(what)?;
                if kind == "proc" {
                    self.proc = Some(TrustedProc::from_mount(made).step(what)?);
                }
                Ok(())
            }
            Source::Bind { .. } => {
                let Some((_, tree)) = sources.pop() else {
                    return Err(Failure::setup(what(), &io::ErrorKind::NotFound.into()));
                };
                self.bind(entry, tree)
            }
            Source::Cgroup => self.cgroup(plan, entry, sources),
        }
    }

    fn bind(&self, entry: &Mount, tree: OwnedFd) -> Result<(), Failure> {
        let what = || format!("mount at {}", entry.destination);
        let is_directory = kind_of(&tree).step(what)? == FileKind::Directory;
        let is_proc = mount::filesystem_magic(tree.as_fd()).step(what)? == mount::magic::PROC;
        // Only a real procfs may stand at /proc: labels and limits are written there (CVE-2019-16884).
        if entry.destination == "/proc" && !is_proc {
            let error = io::Error::other("it is not a procfs");
            return Err(Failure::setup(
                format!("bind something to {}", entry.destination),
                &error,
            ));
        }
        let target = self.target(entry, is_directory)?;
        dress(entry, &tree).step(what)?;
        mount::attach(tree.as_fd(), target.as_fd()).step(what)
    }

    fn cgroup(
        &self,
        plan: &Plan,
        entry: &Mount,
        sources: Vec<(String, OwnedFd)>,
    ) -> Result<(), Failure> {
        let what = || format!("mount control groups at {}", entry.destination);
        let Some(group) = &plan.cgroup else {
            return Ok(());
        };
        let target = self.target(entry, true)?;
        if group.is_v2() {
            let made = match sources.into_iter().next() {
                Some((_, tree)) => tree,
                None => {
                    mount::filesystem("cgroup2", "cgroup", &[], entry.attributes.0).step(what)?
                }
            };
            dress(entry, &made).step(what)?;
            return mount::attach(made.as_fd(), target.as_fd()).step(what);
        }
        let attributes = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        let frame = mount::filesystem("tmpfs", "cgroup", &[("mode", Some("755"))], attributes)
            .step(what)?;
        mount::attach(frame.as_fd(), target.as_fd()).step(what)?;
        let directory = sys::root::Dir::from_fd(frame.try_clone().step(what)?);
        for (name, tree) in sources {
            directory.create_dir(name.as_ref(), 0o755).step(what)?;
            for single in name.split(',').filter(|single| *single != name) {
                directory
                    .create_symlink(single.as_ref(), name.as_ref())
                    .step(what)?;
            }
            let place = directory.open_dir(name.as_ref()).step(what)?;
            let set = attributes | entry.attributes.0;
            let change = Change {
                set,
                clear: 0,
                propagation: propagation::PRIVATE,
            };
            mount::change(tree.as_fd(), false, change).step(what)?;
            mount::attach(tree.as_fd(), place.as_fd()).step(what)?;
        }
        dress(entry, &frame).step(what)
    }

    /// Opens, or makes, what is mounted on.
    fn target(&self, entry: &Mount, directory: bool) -> Result<OwnedFd, Failure> {
        let destination = &entry.destination;
        let what = || format!("prepare mount point {destination}");
        let path = Path::new(destination);
        if must_be_ordinary(destination) {
            let target = self.ordinary(path).step(what)?;
            if kind_of(&target).step(what)? == FileKind::Symlink {
                let error = io::Error::other("it must be mounted on an ordinary directory");
                return Err(Failure::setup(format!("mount at {destination}"), &error));
            }
        }
        let target = match self.root.open(path, OpenFlags::PATH, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory => {
                self.make_directory(entry, path).step(what)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_file(path).step(what)?
            }
            other => other.step(what)?,
        };
        if directory != (kind_of(&target).step(what)? == FileKind::Directory) {
            let error = io::Error::other(if directory {
                "not a directory"
            } else {
                "is a directory; are you trying to mount a directory onto a file (or vice-versa)?"
            });
            return Err(Failure::setup(what(), &error));
        }
        check_proc(destination, &target)?;
        Ok(target)
    }

    /// The entry itself, links in it not followed; made when missing.
    fn ordinary(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OpenFlags::PATH | OpenFlags::NOFOLLOW;
        match self.root.open(path, flags, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.root.create_dir_all(path, 0o755)
            }
            other => other,
        }
    }

    /// A directory to mount on. A tmpfs whose place was missing is open to all, as with runc: its directory has that mode
    /// already, so that later starts, which find it there, are like the first.
    fn make_directory(&self, entry: &Mount, path: &Path) -> io::Result<OwnedFd> {
        let mode = if takes_mode(&entry.source) {
            0o1777
        } else {
            0o755
        };
        if let Some(parent) = path.parent() {
            self.root.create_dir_all(parent, 0o755)?;
        }
        self.root.create_dir_all(path, mode)
    }

    /// An empty file to mount a file on.
    fn make_file(&self, path: &Path) -> io::Result<OwnedFd> {
        if let Some(parent) = path.parent() {
            self.root.create_dir_all(parent, 0o755)?;
        }
        let (parent, name) = self.root.parent(path)?;
        match parent.create_file(&name, 0o644) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.root.open(path, OpenFlags::PATH, 0)
    }
}

/// A link in the image may lead into /proc where the name did not (CVE-2015-3631).
fn check_proc(destination: &str, target: &OwnedFd) -> Result<(), Failure> {
    let what = || format!("prepare mount point {destination}");
    if destination.starts_with("/proc/") || destination == "/proc" {
        return Ok(());
    }
    if mount::filesystem_magic(target.as_fd()).step(what)? == mount::magic::PROC {
        let error = io::Error::other("it is inside /proc");
        return Err(Failure::setup(format!("mount at {destination}"), &error));
    }
    Ok(())
}

/// A tmpfs takes the mode of the directory that it covers, as with runc, unless it is given one.
fn takes_mode(source: &Source) -> bool {
    matches!(source, Source::Filesystem { kind, options, .. }
        if kind == "tmpfs" && !options.iter().any(|(key, _)| key == "mode"))
}

fn mode_below(target: &OwnedFd) -> io::Result<String> {
    let stat = sys::root::Dir::from_fd(target.try_clone()?).stat_self()?;
    Ok(format!("{:o}", stat.mode & 0o7777))
}

fn kind_of(fd: &OwnedFd) -> io::Result<FileKind> {
    Ok(sys::root::Dir::from_fd(fd.try_clone()?).stat_self()?.kind)
}

/// Attributes and propagation of a mount that was copied.
fn dress(entry: &Mount, tree: &OwnedFd) -> io::Result<()> {
    let (set, clear) = entry.recursive_attributes;
    let (spread, recursive) = entry.propagation;
    let spread = if spread == 0 {
        propagation::PRIVATE
    } else {
        spread
    };
    // A copy of a shared mount is its peer: unless told otherwise, what is mounted on it must not reach the host.
    let all = recursive || entry.propagation.0 == 0;
    mount::change(
        tree.as_fd(),
        all,
        Change {
            set: 0,
            clear: 0,
            propagation: spread,
        },
    )?;
    if (set, clear) != (0, 0) {
        mount::change(
            tree.as_fd(),
            true,
            Change {
                set,
                clear,
                propagation: 0,
            },
        )?;
    }
    let (set, clear) = entry.attributes;
    if (set, clear) != (0, 0) {
        mount::change(
            tree.as_fd(),
            false,
            Change {
                set,
                clear,
                propagation: 0,
            },
        )?;
    }
    Ok(())
}

/// Propagation of a mount just made, which is private.
fn spread(entry: &Mount, made: &OwnedFd) -> io::Result<()> {
    match entry.propagation {
        (0 | propagation::PRIVATE, _) => Ok(()),
        (spread, recursive) => mount::change(
            made.as_fd(),
            recursive,
            Change {
                set: 0,
                clear: 0,
                propagation: spread,
            },
        ),
    }
}
