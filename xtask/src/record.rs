//! Records what dockerd answers to the table of commands: the data that tests compare Corten with.
//!
//! The dockerd of the tree of real clients runs in its own mount, network and process namespaces, its root an
//! overlay on its tree, thrown away. Its containers' cgroups stand below one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use testkit::command;
use testkit::table::{self, Group};

use crate::{fixtures, shell};

const CGROUP: &str = "corten-record";

/// In the namespaces: what dockerd needs around it. `$1` is the scratch directory, `$2` the tree.
const SCRIPT: &str = r#"
set -eu
mount -t tmpfs none "$1/mounts"; mkdir "$1/mounts/upper" "$1/mounts/work" "$1/mounts/root"
root=$1/mounts/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/mounts/upper,workdir=$1/mounts/work" "$root"
mkdir -p "$root/mnt/data" "$root/mnt/socket" "$root/run" "$root/var/tmp" "$root/tmp"
mount --bind "$1/data" "$root/mnt/data"; mount --bind "$1/socket" "$root/mnt/socket"
mount -t proc proc "$root/proc"; mount -t sysfs sys "$root/sys"; mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"; mount -t tmpfs run "$root/run"
mount --bind "$1/tmp" "$root/tmp"
ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Not chroot: exec would enter the root of the mount namespace, which has to be the tree then.
cd "$root"; mkdir -p old; pivot_root . old
cd /; busybox umount -l /old
exec dockerd --host unix:///mnt/socket/docker.sock --data-root /mnt/data \
  --exec-root /run/docker --pidfile /run/docker.pid --cgroup-parent "/$3" --exec-opt native.cgroupdriver=cgroupfs --ip6tables=false
"#;

/// A dockerd; dropped, it and all its processes are gone.
struct Dockerd {
    scratch: PathBuf,
    child: Child,
}

impl Dockerd {
    fn start() -> Result<Self> {
        let scratch = std::env::temp_dir().join(format!("corten-record-{}", std::process::id()));
        for name in ["mounts", "data", "socket", "tmp", "config"] {
            fs::create_dir_all(scratch.join(name))?;
        }
        let log = fs::File::create(shell::cache().join("dockerd.log"))?;
        // A process namespace of its own: whatever dockerd has started ends with it.
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(&scratch)
            .arg(fixtures::directory().join("clients"))
            .arg(CGROUP)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run unshare")?;
        let mut dockerd = Self { scratch, child };
        let up = command::eventually(Duration::from_mins(1), || {
            matches!(dockerd.child.try_wait(), Ok(Some(_))) || dockerd.get("/_ping").is_ok()
        });
        if !up || dockerd.child.try_wait()?.is_some() {
            bail!(
                "dockerd does not start: see {}",
                shell::cache().join("dockerd.log").display()
            );
        }
        Ok(dockerd)
    }

    fn socket(&self) -> PathBuf {
        self.scratch.join("socket/docker.sock")
    }

    fn get(&self, path: &str) -> Result<Value> {
        Ok(testkit::http::request(&self.socket(), "GET", path, None)?.json())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(testkit::http::request(&self.socket(), "POST", path, Some(body))?.json())
    }

    fn docker(&self, arguments: &[String]) -> command::Output {
        let mut docker = testkit::fixtures::docker().expect("the fixture has a docker");
        docker
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.scratch.join("config"))
            .env("TZ", "UTC");
        command::run(&mut docker)
    }

    /// Back to nothing but busybox.
    fn reset(&self) -> Result<()> {
        for container in self
            .get("/containers/json?all=1")?
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = container["Id"].as_str().unwrap_or_default();
            testkit::http::request(
                &self.socket(),
                "DELETE",
                &format!("/containers/{id}?force=1&v=1"),
                None,
            )?;
        }
        for image in self
            .get("/images/json?all=1")?
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = image["Id"].as_str().unwrap_or_default();
            testkit::http::request(
                &self.socket(),
                "DELETE",
                &format!("/images/{id}?force=1"),
                None,
            )?;
        }
        let archive = testkit::fixtures::image("busybox")
            .to_string_lossy()
            .into_owned();
        let output = self.docker(&["load".into(), "--input".into(), archive]);
        if output.code != 0 {
            bail!("load busybox: {}", output.stderr);
        }
        Ok(())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        _ = self.reset();
        command::signal(self.child.id(), "KILL");
        _ = self.child.wait();
        let names = testkit::leaks::Names {
            directory: self.scratch.clone(),
            bridge: String::new(),
            cgroup: CGROUP.into(),
        };
        command::eventually(Duration::from_secs(5), || {
            testkit::leaks::remove_cgroups(&names);
            fs::remove_dir_all(&self.scratch).is_ok()
        });
    }
}

/// Records the whole table, and the shapes of the API's answers.
pub(crate) fn run() -> Result<()> {
    fixtures::make_all()?;
    let testdata = shell::root().join("tests/e2e/testdata");
    let groups = table::parse(&fs::read_to_string(testdata.join("commands.txt"))?);
    let target = testdata.join("docker-28.5");
    fs::create_dir_all(&target)?;
    let dockerd = Dockerd::start()?;
    for group in &groups {
        record(&dockerd, group, &target)?;
    }
    dockerd.reset()?;
    for version in ["1.41", "1.51"] {
        let shapes = shapes(&dockerd, version)?;
        let mut text = serde_json::to_string_pretty(&shapes)?;
        text.push('\n');
        fs::write(target.join(format!("api-{version}.json")), text)?;
    }
    Ok(())
}

fn record(dockerd: &Dockerd, group: &Group, target: &Path) -> Result<()> {
    dockerd.reset()?;
    let rows = table::replay(group, |arguments| dockerd.docker(arguments));
    println!("{}: {} commands", group.name, rows.len());
    table::write(&target.join(format!("{}.json", group.name)), &rows)
}

/// The keys and types of the answers, by request. Values are not kept: they tell of the machine, not of the API.
fn shapes(dockerd: &Dockerd, version: &str) -> Result<Value> {
    let prefix = format!("/v{version}");
    let create =
        json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Labels": {"a": "b"}, "Env": ["A=b"]});
    let id = dockerd.post(&format!("{prefix}/containers/create?name=shape"), &create)?["Id"]
        .as_str()
        .context("create a container")?
        .to_owned();
    let mut found = serde_json::Map::new();
    found.insert(
        "GET /containers/ID/json created".into(),
        testkit::http::shape(&dockerd.get(&format!("{prefix}/containers/{id}/json"))?),
    );
    dockerd.post(&format!("{prefix}/containers/{id}/start"), &json!({}))?;
    let exec = dockerd.post(
        &format!("{prefix}/containers/{id}/exec"),
        &json!({"Cmd": ["true"], "AttachStdout": true}),
    )?;
    let exec_id = exec["Id"].as_str().context("create an exec")?.to_owned();
    found.insert(
        "POST /containers/ID/exec".into(),
        testkit::http::shape(&exec),
    );
    for (name, path) in [
        ("GET /containers/ID/json", format!("/containers/{id}/json")),
        ("GET /containers/json", "/containers/json?all=1".into()),
        (
            "GET /containers/json size",
            "/containers/json?all=1&size=1".into(),
        ),
        ("GET /exec/ID/json", format!("/exec/{exec_id}/json")),
        ("GET /images/json", "/images/json".into()),
        ("GET /images/NAME/json", "/images/busybox/json".into()),
        ("GET /info", "/info".into()),
        ("GET /version", "/version".into()),
        (
            "GET /containers/NONE/json",
            "/containers/nosuch/json".into(),
        ),
    ] {
        found.insert(
            name.into(),
            testkit::http::shape(&dockerd.get(&format!("{prefix}{path}"))?),
        );
    }
    dockerd.post(&format!("{prefix}/containers/{id}/kill"), &json!({}))?;
    let waited = dockerd.post(&format!("{prefix}/containers/{id}/wait"), &json!({}))?;
    found.insert(
        "POST /containers/ID/wait".into(),
        testkit::http::shape(&waited),
    );
    found.insert(
        "GET /containers/ID/json exited".into(),
        testkit::http::shape(&dockerd.get(&format!("{prefix}/containers/{id}/json"))?),
    );
    testkit::http::request(
        &dockerd.socket(),
        "DELETE",
        &format!("{prefix}/containers/{id}"),
        None,
    )?;
    Ok(Value::Object(found))
}
