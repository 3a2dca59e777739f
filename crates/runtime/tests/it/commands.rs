//! The command line: what a caller of runc does.

use std::process::{Command, Output};

use crate::Test;
use crate::bundle::Bundle;

pub(crate) const TESTS: &[Test] = &[
    ("commands::create_start_kill_delete", life),
    ("commands::run_and_exec", run_and_exec),
];

struct Runtime {
    bundle: Bundle,
    root: tempfile::TempDir,
}

impl Runtime {
    fn new(script: &str) -> Self {
        let bundle = Bundle::new(script);
        let config = serde_json::to_vec(&bundle.spec).unwrap();
        std::fs::write(bundle.directory.path().join("config.json"), config).unwrap();
        Self {
            bundle,
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("runtime")
            .arg("--root")
            .arg(self.root.path())
            .args(words);
        command
    }

    fn call(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    #[track_caller]
    fn good(&self, words: &[&str]) -> String {
        let output = self.call(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn status(&self) -> String {
        let state: serde_json::Value = serde_json::from_str(&self.good(&["state", "c1"])).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }
}

fn life() {
    let runtime = Runtime::new("echo started > /tmp/mark; sleep 100");
    let bundle = runtime.bundle.directory.path().to_str().unwrap();
    let pid_file = runtime.root.path().join("pid").to_str().unwrap().to_owned();
    // A created container keeps the streams of its creator: files here, so that nobody waits for their end.
    let log = std::fs::File::create(runtime.root.path().join("log")).unwrap();
    let mut create =
        runtime.command(&["create", "--bundle", bundle, "--pid-file", &pid_file, "c1"]);
    assert!(
        create
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(runtime.status(), "created");
    assert!(!runtime.bundle.root().join("tmp/mark").exists());
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(
        !runtime
            .call(&["create", "--bundle", bundle, "c1"])
            .status
            .success()
    );
    runtime.good(&["start", "c1"]);
    assert_eq!(runtime.status(), "running");
    assert!(!runtime.call(&["start", "c1"]).status.success());
    assert!(!runtime.call(&["delete", "c1"]).status.success());
    runtime.good(&["kill", "c1", "KILL"]);
    while runtime.status() != "stopped" {
        std::thread::yield_now();
    }
    runtime.good(&["delete", "c1"]);
    assert!(!runtime.call(&["state", "c1"]).status.success());
}

fn run_and_exec() {
    let runtime = Runtime::new("echo out; exit 3");
    let bundle = runtime.bundle.directory.path().to_str().unwrap();
    let output = runtime.call(&["run", "--bundle", bundle, "c1"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(3), b"out\n".as_slice())
    );
    assert_eq!(std::fs::read_dir(runtime.root.path()).unwrap().count(), 0);
    let runtime = Runtime::new("sleep 100");
    let bundle = runtime.bundle.directory.path().to_str().unwrap();
    let log = std::fs::File::create(runtime.root.path().join("log")).unwrap();
    let mut run = runtime.command(&["run", "-d", "--bundle", bundle, "c1"]);
    assert!(
        run.stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(runtime.good(&["exec", "c1", "hostname"]), "box\n");
    let missing = runtime.call(&["exec", "c1", "nothing"]);
    assert_eq!(missing.status.code(), Some(127));
    runtime.good(&["delete", "--force", "c1"]);
}
