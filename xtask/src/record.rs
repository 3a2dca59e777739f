//! Records what dockerd answers to the table of commands: the data that tests compare Corten with.
//!
//! The dockerd is that of the tree of real clients ([`testkit::tree`]).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use testkit::table::{self, Group};
use testkit::tree::Dockerd;

use crate::{fixtures, shell};

const CGROUP: &str = "corten-record";

/// A dockerd whose answers are recorded.
struct Recorded(Dockerd);

impl Recorded {
    fn start() -> Result<Self> {
        let scratch = std::env::temp_dir().join(format!("corten-record-{}", std::process::id()));
        let log = shell::cache().join("dockerd.log");
        Dockerd::start(&scratch, CGROUP, &log, &["--ip6tables=false"]).map(Self)
    }

    fn get(&self, path: &str) -> Result<Value> {
        Ok(testkit::http::request(&self.0.socket(), "GET", path, None)?.json())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(testkit::http::request(&self.0.socket(), "POST", path, Some(body))?.json())
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
                &self.0.socket(),
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
                &self.0.socket(),
                "DELETE",
                &format!("/images/{id}?force=1"),
                None,
            )?;
        }
        let archive = testkit::fixtures::image("busybox")
            .to_string_lossy()
            .into_owned();
        let output = self.0.docker(&["load", "--input", &archive]);
        if output.code != 0 {
            bail!("load busybox: {}", output.stderr);
        }
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        _ = self.reset();
    }
}

/// Records the whole table, and the shapes of the API's answers.
pub(crate) fn run() -> Result<()> {
    fixtures::make_all()?;
    let testdata = shell::root().join("tests/e2e/testdata");
    let groups = table::parse(&fs::read_to_string(testdata.join("commands.txt"))?);
    let target = testdata.join("docker-28.5");
    fs::create_dir_all(&target)?;
    let dockerd = Recorded::start()?;
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

fn record(dockerd: &Recorded, group: &Group, target: &Path) -> Result<()> {
    dockerd.reset()?;
    let rows = table::replay(group, |arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        dockerd.0.docker(&arguments)
    });
    println!("{}: {} commands", group.name, rows.len());
    table::write(&target.join(format!("{}.json", group.name)), &rows)
}

/// The keys and types of the answers, by request. Values are not kept: they tell of the machine, not of the API.
fn shapes(dockerd: &Recorded, version: &str) -> Result<Value> {
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
        &dockerd.0.socket(),
        "DELETE",
        &format!("{prefix}/containers/{id}"),
        None,
    )?;
    Ok(Value::Object(found))
}
