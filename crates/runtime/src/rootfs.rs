//! The container's file system, made inside its new mount namespace. The order matters:
//!
//! 1. sources of bind mounts are cloned, while the host's paths are still what the host says they are;
//! 2. the host's tree stops receiving from and sending to anybody but the host;
//! 3. the root is put over `/` of this namespace (the process's own root stays below it);
//! 4. every mount is made detached, its target is opened inside the root by `openat2`, and it is moved onto that
//!    descriptor: a path that changes in between changes nothing (CVE-2021-30465, CVE-2019-19921);
//! 5. devices, parameters, masks; then the root becomes the root.

mod mounts;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::mount::{self, Change, Node, TrustedProc, attribute, propagation};
use sys::process::SingleThreaded;
use sys::root::{OpenFlags, RootDir};

use crate::error::{Failure, Step};
use crate::plan::{Device, NamespaceKind, Plan, Rootfs, Source};

/// What was made of the host before it is out of sight.
pub(crate) struct Sources {
    root: OwnedFd,
    /// One an entry of `plan.mounts`; only binds (and v1 control groups) have any.
    binds: Vec<Vec<(String, OwnedFd)>>,
    null: OwnedFd,
}

/// The file system, complete but for the pivot.
pub(crate) struct Tree {
    root: RootDir,
    proc: Option<TrustedProc>,
}

impl Sources {
    /// Step 1.
    pub(crate) fn open(plan: &Plan, rootfs: Option<OwnedFd>) -> Result<Self, Failure> {
        let root = match (&plan.rootfs, rootfs) {
            (Rootfs::Inherited, Some(fd)) => fd,
            (Rootfs::Inherited, None) => {
                return Err(Failure::setup(
                    "take the root file system",
                    &io::ErrorKind::NotFound.into(),
                ));
            }
            (Rootfs::Path(path), _) => mount::clone_path(Path::new(path), true)
                .step(|| format!("open root file system {path}"))?,
        };
        let mut binds = Vec::with_capacity(plan.mounts.len());
        for entry in &plan.mounts {
            binds.push(match &entry.source {
                Source::Bind { path, recursive } => {
                    let tree = mount::clone_path(Path::new(path), *recursive)
                        .step(|| format!("open {path} to mount it at {}", entry.destination))?;
                    vec![(String::new(), tree)]
                }
                Source::Cgroup => mounts::cgroup_sources(plan)?,
                Source::Filesystem { .. } => Vec::new(),
            });
        }
        Ok(Self {
            root,
            binds,
            null: mount::null_device().step(|| "open /dev/null")?,
        })
    }

    /// Steps 2 to 4.
    pub(crate) fn build(self, proof: &SingleThreaded, plan: &Plan) -> Result<Tree, Failure> {
        // Nothing of the container's may reach the host; unmounts of the host's may reach us until the pivot.
        mount::change_root_propagation(proof, propagation::SLAVE)
            .step(|| "leave the host's mount propagation")?;
        let spread = if plan.propagation == 0 {
            propagation::PRIVATE
        } else {
            plan.propagation
        };
        // pivot_root refuses a shared mount: what is asked for is set after it, by `Tree::pivot`.
        let private = Change {
            propagation: propagation::PRIVATE,
            ..Change::default()
        };
        let recursive = matches!(plan.rootfs, Rootfs::Path(_)) && spread == propagation::PRIVATE;
        mount::change(self.root.as_fd(), recursive, private)
            .step(|| "make the root mount private")?;
        let host_root = RootDir::open_path(Path::new("/")).step(|| "open /")?;
        mount::attach(self.root.as_fd(), host_root.as_fd())
            .step(|| "attach the root file system")?;
        let mut tree = Tree {
            root: RootDir::from_fd(self.root),
            proc: None,
        };
        for (entry, sources) in plan.mounts.iter().zip(self.binds) {
            tree.mount(plan, entry, sources)?;
        }
        tree.make_devices(plan)?;
        if plan
            .namespaces
            .iter()
            .all(|(kind, _)| *kind != NamespaceKind::Mount)
        {
            return Err(Failure::setup(
                "make mounts",
                &io::ErrorKind::Unsupported.into(),
            ));
        }
        tree.write_sysctls(plan)?;
        tree.mask(plan, &self.null)?;
        Ok(tree)
    }
}

impl Tree {
    /// The root, for lookups inside it.
    pub(crate) fn root(&self) -> &RootDir {
        &self.root
    }

    /// A procfs that nothing is mounted over.
    pub(crate) fn proc(&mut self) -> Result<&TrustedProc, Failure> {
        let proc = match self.proc.take() {
            Some(proc) => proc,
            None => TrustedProc::new().step(|| "make a procfs")?,
        };
        Ok(self.proc.insert(proc))
    }

    fn make_devices(&self, plan: &Plan) -> Result<(), Failure> {
        for device in &plan.devices {
            self.make_device(device)?;
        }
        if plan.links.is_empty() {
            return Ok(());
        }
        let dev = self.root.open_dir(Path::new("/dev")).step(|| "open /dev")?;
        for (name, target) in &plan.links {
            match dev.create_symlink(name.as_ref(), target.as_ref()) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Failure::setup(format!("make link /dev/{name}"), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn make_device(&self, device: &Device) -> Result<(), Failure> {
        let path = Path::new(&device.path);
        let what = || format!("make device {}", device.path);
        let (Some(parent), Some(name)) = (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) else {
            return Err(Failure::setup(what(), &io::ErrorKind::InvalidInput.into()));
        };
        let parent = self.root.create_dir_all(parent, 0o755).step(what)?;
        let kind = match device.kind {
            'b' => Node::Block(device.major, device.minor),
            'p' => Node::Fifo,
            _ => Node::Character(device.major, device.minor),
        };
        match mount::make_node(
            parent.as_fd(),
            name,
            kind,
            device.mode,
            (device.uid, device.gid),
        ) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.step(what),
        }
    }

    fn write_sysctls(&mut self, plan: &Plan) -> Result<(), Failure> {
        for (path, value) in &plan.sysctls {
            self.proc()?
                .write(path, value)
                .step(|| format!("write sysctl {path}"))?;
        }
        Ok(())
    }

    /// Read-only and masked paths.
    fn mask(&self, plan: &Plan, null: &OwnedFd) -> Result<(), Failure> {
        for path in &plan.readonly_paths {
            let what = || format!("make {path} read-only");
            let Some(target) = self.find(path).step(what)? else {
                continue;
            };
            let copy = mount::clone_fd(target.as_fd(), true).step(what)?;
            let read_only = Change {
                set: attribute::READ_ONLY,
                ..Change::default()
            };
            mount::change(copy.as_fd(), true, read_only).step(what)?;
            mount::attach(copy.as_fd(), target.as_fd()).step(what)?;
        }
        // One superblock for all directories; a copy can only be taken once the first is attached (before 6.15).
        let mut empty: Option<OwnedFd> = None;
        for path in &plan.masked_paths {
            let what = || format!("mask {path}");
            let Some(target) = self.find(path).step(what)? else {
                continue;
            };
            let directory = sys::root::Dir::from_fd(target.try_clone().step(what)?);
            let is_directory =
                directory.stat_self().step(what)?.kind == sys::root::FileKind::Directory;
            let cover = match (&empty, is_directory) {
                (_, false) => mount::clone_fd(null.as_fd(), false).step(what)?,
                (Some(first), true) => mount::clone_fd(first.as_fd(), false).step(what)?,
                (None, true) => {
                    let options = [("nr_blocks", Some("1")), ("nr_inodes", Some("1"))];
                    mount::filesystem("tmpfs", "tmpfs", &options, attribute::READ_ONLY)
                        .step(what)?
                }
            };
            mount::attach(cover.as_fd(), target.as_fd()).step(what)?;
            if is_directory && empty.is_none() {
                empty = Some(cover);
            }
        }
        Ok(())
    }

    /// Opens what exists.
    fn find(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        match self.root.open(Path::new(path), OpenFlags::PATH, 0) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Puts the container's terminal onto /dev/console, which is a fresh empty file (CVE-2026-88264).
    pub(crate) fn mount_console(&self, slave: &OwnedFd) -> Result<(), Failure> {
        let what = || "mount terminal at /dev/console";
        let dev = self.root.open_dir(Path::new("/dev")).step(what)?;
        match dev.create_file("console".as_ref(), 0o600) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Failure::setup(what(), &error));
            }
            _ => {}
        }
        let flags = OpenFlags::PATH | OpenFlags::NOFOLLOW;
        let target = self
            .root
            .open(Path::new("/dev/console"), flags, 0)
            .step(what)?;
        let copy = mount::clone_fd(slave.as_fd(), false).step(what)?;
        mount::attach(copy.as_fd(), target.as_fd()).step(what)
    }

    /// Makes the working directory, when it is missing.
    pub(crate) fn make_working_directory(&self, cwd: &str) -> Result<(), Failure> {
        match self.root.create_dir_all(Path::new(cwd), 0o755) {
            // Whatever is wrong with it is said by the chdir.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            Err(error) => Err(Failure::new(
                crate::Stage::WorkingDirectory,
                format!("mkdir {cwd}"),
                &error,
            )),
            Ok(_) => Ok(()),
        }
    }

    /// Step 5: the root becomes the root of this process, the host's goes.
    pub(crate) fn pivot(self, proof: &SingleThreaded, plan: &Plan) -> Result<(), Failure> {
        if plan.read_only {
            let read_only = Change {
                set: attribute::READ_ONLY,
                ..Change::default()
            };
            mount::change(self.root.as_fd(), false, read_only)
                .step(|| "make the root read-only")?;
        }
        mount::pivot_root(proof, self.root.as_fd()).step(|| "pivot_root")?;
        if plan.propagation != 0 && plan.propagation != propagation::PRIVATE {
            let spread = Change {
                propagation: plan.propagation,
                ..Change::default()
            };
            mount::change(self.root.as_fd(), true, spread)
                .step(|| "set propagation of the root")?;
        }
        Ok(())
    }
}
