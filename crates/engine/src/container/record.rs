//! What is stored of a container: one JSON file, replaced as a whole.
//!
//! Configuration is on disk, liveness is in the monitor: the state in the file is what the engine last knew, and `recover`
//! asks the monitor and its `exit.json` before believing it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use network::{Attachment, Endpoint, Port};
use serde::{Deserialize, Deserializer, Serialize};

use super::{ContainerName, Signal, Spec, State};

/// The facts of a container that never change after its creation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: String,
    /// When it was created.
    pub created: SystemTime,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    /// What was asked, validated.
    pub spec: Spec,
    /// The image's defaults and the request, merged.
    pub effective: Effective,
    /// The create request as it came.
    pub request: serde_json::Value,
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`.
    pub architecture: String,
}

/// What a container's process gets once the image's defaults and the request are merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effective {
    /// The entrypoint, if any.
    pub entrypoint: Option<Vec<String>>,
    /// The command, if any.
    pub command: Option<Vec<String>>,
    /// Environment as `inspect` shows it.
    pub env: Vec<String>,
    /// Labels of the image and the request.
    pub labels: BTreeMap<String, String>,
    /// `user[:group]`, as asked or as the image says.
    pub user: String,
    /// Working directory; empty: `/`.
    pub working_dir: String,
    /// Host name.
    pub hostname: String,
    /// The image's or the request's stop signal, if either has one.
    pub stop_signal: Option<Signal>,
    /// The image's declared volumes, as paths.
    pub volumes: Vec<String>,
    /// The image's and the request's declared ports, `80/tcp`.
    pub exposed_ports: Vec<String>,
}

impl Effective {
    /// Program and arguments.
    pub fn args(&self) -> Vec<String> {
        self.entrypoint
            .iter()
            .chain(&self.command)
            .flatten()
            .cloned()
            .collect()
    }

    /// The program alone, and its arguments: `inspect`'s Path and Args.
    pub fn path_and_args(&self) -> (String, Vec<String>) {
        let mut args = self.args();
        if args.is_empty() {
            return (String::new(), args);
        }
        let path = args.remove(0);
        (path, args)
    }
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Its name at the moment.
    pub name: ContainerName,
    /// How it stood when this was written.
    pub state: State,
    /// The networks it belongs to; none recorded: those of its specification, which the earlier build knew alone.
    #[serde(default)]
    pub attachments: Option<Vec<Attachment>>,
    /// Its places on networks while it runs.
    #[serde(default, alias = "endpoint", deserialize_with = "one_or_several")]
    pub endpoints: Vec<Endpoint>,
    /// The unchanging part.
    pub record: Arc<Record>,
}

impl store::Record for Stored {
    const SCHEMA: u32 = 1;
}

/// What the engine notes of a run before it launches it, in the run directory: a run that is not noted has not begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Before the program could start.
    pub began: SystemTime,
    /// The networks it belongs to, once they are others than at its start.
    #[serde(default)]
    pub attachments: Option<Vec<Attachment>>,
    /// Its places on networks.
    #[serde(default, alias = "endpoint", deserialize_with = "one_or_several")]
    pub endpoints: Vec<Endpoint>,
    /// Its published ports.
    #[serde(default)]
    pub ports: Vec<Port>,
}

impl store::Record for Run {
    const SCHEMA: u32 = 1;
}

/// Endpoints as they are read: a list, or the one or none of the build that knew no more.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Endpoint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Several(Vec<Endpoint>),
        Perhaps(Option<Endpoint>),
    }
    Ok(match Form::deserialize(from)? {
        Form::Several(endpoints) => endpoints,
        Form::Perhaps(endpoint) => endpoint.into_iter().collect(),
    })
}

/// Where the files of a container are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `<data root>/containers/<id>`.
    pub state_dir: PathBuf,
    /// `<exec root>/containers/<id>`.
    pub run_dir: PathBuf,
}

impl Paths {
    /// The record.
    pub fn record(&self) -> PathBuf {
        self.state_dir.join("record.json")
    }

    /// How the last run ended: the monitor's.
    pub fn exit(&self) -> PathBuf {
        self.state_dir.join("exit.json")
    }

    /// The newest log file.
    pub fn log(&self) -> PathBuf {
        let id = self
            .state_dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        self.state_dir.join("log").join(format!("{id}-json.log"))
    }

    /// One of the files mounted over the image's: `hostname`, `hosts`, `resolv.conf`.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.state_dir.join(name)
    }

    /// The monitor's socket.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("monitor.sock")
    }

    /// What the engine notes of a run before it launches it; gone at a reboot.
    pub fn run(&self) -> PathBuf {
        self.run_dir.join("run.json")
    }

    /// From the two directories.
    pub fn new(state_dir: &Path, run_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            run_dir: run_dir.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_the_earlier_build_noted_is_read() {
        let old = r#"{"began":{"secs_since_epoch":1,"nanos_since_epoch":0},"endpoint":{"id":"c","network":"bridge",
            "ip":"172.17.0.2","prefix":16,"gateway":"172.17.0.1","mac":"02:42:ac:11:00:02","host_interface":"v"}}"#;
        let run: Run = serde_json::from_str(old).unwrap();
        assert_eq!(
            run.endpoints[0].ipv4,
            Some("172.17.0.2/16".parse().unwrap())
        );
        let without = r#"{"began":{"secs_since_epoch":1,"nanos_since_epoch":0},"endpoint":null}"#;
        assert_eq!(serde_json::from_str::<Run>(without).unwrap().endpoints, []);
        let written = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&written).unwrap(), run);
    }
}
