//! What is known of a container: its directory below the root.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sys::process::PidFd;

use crate::error::{Error, Result};
use crate::plan::Plan;

/// `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) pid: i32,
    /// Start time in clock ticks: tells the process from a later one of the same number.
    pub(super) pid_started: u64,
    pub(super) bundle: String,
    pub(super) annotations: BTreeMap<String, String>,
}

/// What `state` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    oci_version: &'static str,
    pub(super) id: String,
    pub(super) status: &'static str,
    pub(super) pid: i32,
    bundle: String,
    annotations: BTreeMap<String, String>,
}

/// One container's directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    id: String,
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let what = format!("write {}", path.display());
    let mut file = std::fs::File::create(path).map_err(Error::io(what.clone()))?;
    io::Write::write_all(&mut file, content).map_err(Error::io(what))
}

/// Writes a process id where the caller asked for it.
pub(super) fn write_pid(path: &str, pid: i32) -> Result<()> {
    write(Path::new(path), pid.to_string().as_bytes())
}

impl Directory {
    /// A container's directory, whether it exists or not.
    pub(super) fn new(root: &Path, id: &str) -> Self {
        Self {
            path: root.join(id),
            id: id.to_owned(),
        }
    }

    /// Makes it; a container of that name must not exist.
    pub(super) fn make(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let what = format!("make {}", self.path.display());
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        if let Some(root) = self.path.parent() {
            builder
                .recursive(true)
                .create(root)
                .map_err(Error::io(what.clone()))?;
        }
        match builder.recursive(false).create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Conflict(
                format!("container {} already exists", self.id),
            )),
            other => other.map_err(Error::io(what)),
        }
    }

    /// The socket on which the process waits for start.
    pub(super) fn gate(&self) -> PathBuf {
        self.path.join("start")
    }

    pub(super) fn write_plan(&self, plan: &Plan) -> Result<()> {
        let bytes =
            postcard::to_allocvec(plan).map_err(|error| Error::Invalid(error.to_string()))?;
        write(&self.path.join("plan"), &bytes)
    }

    pub(super) fn plan(&self) -> Result<Plan> {
        let bytes = self.read("plan")?;
        postcard::from_bytes(&bytes)
            .map_err(|error| Error::Invalid(format!("read plan of {}: {error}", self.id)))
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<()> {
        let bytes =
            serde_json::to_vec(record).map_err(|error| Error::Invalid(error.to_string()))?;
        write(&self.path.join("state.json"), &bytes)
    }

    pub(super) fn record(&self) -> Result<Record> {
        let bytes = self.read("state.json")?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Invalid(format!("read state of {}: {error}", self.id)))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path.join(name);
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotFound(self.id.clone()))
            }
            other => other.map_err(Error::io(format!("read {}", path.display()))),
        }
    }

    /// Removes it.
    pub(super) fn remove(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::io(format!("remove {}", self.path.display()))),
        }
    }

    /// The container's process, if it is alive and still that one.
    pub(super) fn process(record: &Record) -> Option<PidFd> {
        let pidfd = PidFd::open(record.pid).ok()?;
        let (state, started) = process_status(record.pid)?;
        (started == record.pid_started && state != 'Z').then_some(pidfd)
    }

    /// What `state` prints.
    pub(super) fn state(&self) -> Result<State> {
        let record = self.record()?;
        let alive = Self::process(&record).is_some();
        let frozen = || {
            self.plan()
                .ok()
                .and_then(|plan| plan.cgroup)
                .is_some_and(|group| group.is_frozen())
        };
        let status = match (alive, self.gate().exists()) {
            (false, _) => "stopped",
            (true, true) => "created",
            (true, false) if frozen() => "paused",
            (true, false) => "running",
        };
        Ok(State {
            oci_version: "1.2.0",
            status,
            pid: if alive { record.pid } else { 0 },
            id: record.id,
            bundle: record.bundle,
            annotations: record.annotations,
        })
    }
}

/// State and start time of a process: fields 3 and 22 of its stat.
pub(super) fn process_status(pid: i32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}
