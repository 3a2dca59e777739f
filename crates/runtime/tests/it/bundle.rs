//! A bundle in a temporary directory: busybox, a specification to change, and what has to be gone at the end.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use oci::runtime::{Mount, Namespace, Spec};
use runtime::plan::{Extras, Plan};
use runtime::{Created, Error, Fds, Gate, Stdio};
use sys::process::{Ended, SingleThreaded};

/// A static busybox: the host's, or the one that CORTEN_BUSYBOX names.
fn busybox() -> PathBuf {
    std::env::var_os("CORTEN_BUSYBOX").map_or_else(|| PathBuf::from("/bin/busybox"), PathBuf::from)
}

/// Whether containers can be made here.
pub(crate) fn possible() -> bool {
    let root = fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    root && busybox().exists()
}

/// A bundle.
pub(crate) struct Bundle {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) spec: Spec,
    pub(crate) extras: Extras,
    parent: String,
}

/// How a container ended and what it printed (stdout and stderr in one).
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) output: String,
}

impl Outcome {
    /// The output, of a container that ended well.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.ended, Ended::Exited(0), "{}", self.output);
        self.output
    }
}

pub(crate) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn mount(kind: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: kind.to_owned(),
        options: strings(options),
    }
}

/// Docker's default capabilities.
const CAPS: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

impl Bundle {
    /// A bundle that runs `sh -c SCRIPT` as Docker would.
    pub(crate) fn new(script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::copy(busybox(), root.join("bin/busybox")).unwrap();
        for name in [
            "sh", "cat", "ls", "id", "echo", "sleep", "true", "mount", "hostname", "touch",
            "mknod", "stat", "tty", "grep", "ps", "readlink", "env", "test", "dd", "kill", "mkdir",
            "sysctl", "stty", "ulimit", "seq", "chroot",
        ] {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .unwrap();
        let parent = format!(
            "/corten-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let extras = Extras {
            id: "test".to_owned(),
            bundle: directory.path().to_str().unwrap().to_owned(),
            ..Extras::default()
        };
        let spec = specification(script, &format!("{parent}/group"));
        Self {
            directory,
            spec,
            extras,
            parent,
        }
    }

    /// The root directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    pub(crate) fn linux(&mut self) -> &mut oci::runtime::Linux {
        self.spec.linux.as_mut().unwrap()
    }

    pub(crate) fn process(&mut self) -> &mut oci::runtime::Process {
        self.spec.process.as_mut().unwrap()
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::compile(&self.spec, self.extras.clone()).unwrap()
    }

    /// Creates the container, its output a pipe.
    pub(crate) fn create(&self) -> Result<(Created, File), Error> {
        let (reader, streams) = output();
        let proof = SingleThreaded::prove().unwrap();
        let created = runtime::create(&proof, &self.plan(), fds(streams))?;
        Ok((created, reader))
    }

    /// Runs the container to its end.
    pub(crate) fn run(&self) -> Outcome {
        let (created, mut reader) = self.create().unwrap_or_else(|error| panic!("{error}"));
        let started = created.start().unwrap_or_else(|error| panic!("{error}"));
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        let ended = started.pidfd.wait().unwrap();
        Outcome { ended, output }
    }

    /// Runs it and expects that it cannot be started.
    #[track_caller]
    pub(crate) fn fail(&self) -> runtime::Failure {
        let error = match self.create() {
            Err(error) => error,
            Ok((created, _)) => created.start().expect_err("the container has started"),
        };
        match error {
            Error::Failure(failure) => failure,
            other => panic!("{other}"),
        }
    }
}

/// Nothing but standard streams.
pub(crate) fn fds(stdio: Stdio) -> Fds {
    Fds {
        rootfs: None,
        netns: None,
        stdio,
        init: None,
        gate: Gate::Creator,
    }
}

/// Standard streams whose output can be read.
pub(crate) fn output() -> (File, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    let writer = OwnedFd::from(writer);
    let null = OwnedFd::from(File::open("/dev/null").unwrap());
    (
        File::from(OwnedFd::from(reader)),
        Stdio::Files([null, writer.try_clone().unwrap(), writer]),
    )
}

fn specification(script: &str, group: &str) -> Spec {
    let caps: Vec<String> = CAPS.iter().map(|name| format!("CAP_{name}")).collect();
    Spec {
        process: Some(oci::runtime::Process {
            args: strings(&["sh", "-c", script]),
            env: strings(&["PATH=/sbin:/bin"]),
            cwd: "/".to_owned(),
            capabilities: Some(oci::runtime::Capabilities {
                bounding: caps.clone(),
                effective: caps.clone(),
                permitted: caps,
                ..oci::runtime::Capabilities::default()
            }),
            ..oci::runtime::Process::default()
        }),
        root: Some(oci::runtime::Root {
            path: "rootfs".to_owned(),
            readonly: false,
        }),
        hostname: "box".to_owned(),
        mounts: vec![
            mount("proc", "/proc", &["nosuid", "noexec", "nodev"]),
            mount(
                "tmpfs",
                "/dev",
                &["nosuid", "strictatime", "mode=755", "size=65536k"],
            ),
            mount(
                "devpts",
                "/dev/pts",
                &[
                    "nosuid",
                    "noexec",
                    "newinstance",
                    "ptmxmode=0666",
                    "mode=0620",
                    "gid=5",
                ],
            ),
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
            mount(
                "cgroup",
                "/sys/fs/cgroup",
                &["nosuid", "noexec", "nodev", "ro"],
            ),
            mount("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
            mount(
                "tmpfs",
                "/dev/shm",
                &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
            ),
        ],
        linux: Some(oci::runtime::Linux {
            namespaces: ["mount", "pid", "network", "ipc", "uts"]
                .map(|kind| Namespace {
                    kind: kind.to_owned(),
                    path: String::new(),
                })
                .to_vec(),
            cgroups_path: group.to_owned(),
            resources: Some(oci::runtime::Resources::default()),
            masked_paths: strings(&[
                "/proc/acpi",
                "/proc/kcore",
                "/proc/keys",
                "/proc/scsi",
                "/sys/firmware",
            ]),
            readonly_paths: strings(&[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ]),
            ..oci::runtime::Linux::default()
        }),
        ..Spec::default()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let Ok(plan) = Plan::compile(&self.spec, self.extras.clone()) else {
            return;
        };
        let Some(mut group) = plan.cgroup else { return };
        group.kill().ok();
        let removed = group.remove();
        group.path.clone_from(&self.parent);
        let removed = removed.and(group.remove());
        if !std::thread::panicking() {
            removed.unwrap();
            assert!(
                group
                    .v1
                    .iter()
                    .all(|(_, mount)| !Path::new(&format!("{mount}{}", self.parent)).exists())
            );
        }
    }
}
