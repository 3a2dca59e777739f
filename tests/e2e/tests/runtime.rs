//! `corten runtime`: the OCI command line, as containerd and podman use it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::command::{self, Output, eventually};
use testkit::{fixtures, slots::Slot};

/// A bundle of busybox in a directory of its own; removed at the end.
struct Bundle {
    slot: Slot,
    directory: std::path::PathBuf,
}

impl Bundle {
    fn new(arguments: &[&str]) -> Self {
        let slot = Slot::take();
        let directory = std::env::temp_dir().join(format!("corten-runtime-{}", slot.number));
        _ = fs::remove_dir_all(&directory);
        let root = directory.join("bundle/rootfs");
        for path in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(root.join(path)).expect("create the root");
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copy busybox");
        for applet in ["sh", "sleep", "echo", "true"] {
            std::os::unix::fs::symlink("/bin/busybox", root.join("bin").join(applet))
                .expect("link");
        }
        let bundle = Self { slot, directory };
        fs::write(
            bundle.directory.join("bundle/config.json"),
            bundle.config(arguments).to_string(),
        )
        .expect("write config.json");
        bundle
    }

    fn config(&self, arguments: &[&str]) -> Value {
        json!({
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "args": arguments, "env": ["PATH=/bin"], "cwd": "/"},
            "root": {"path": "rootfs"},
            "hostname": "bundle",
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": format!("/corten-runtime-{}", self.slot.number),
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
            },
        })
    }

    fn runtime(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(fixtures::corten());
        command
            .arg("runtime")
            .arg("--root")
            .arg(self.directory.join("state"))
            .args(arguments);
        // The container keeps the pipes of `create`: give it none of ours.
        let out = self.directory.join("out");
        let line = format!("{command:?} > {} 2>&1 < /dev/null", out.display());
        let mut output = command::run(Command::new("sh").args(["-c", &line]));
        output.stdout = fs::read_to_string(&out).unwrap_or_default();
        output
    }

    fn path(&self) -> String {
        self.directory.join("bundle").to_string_lossy().into_owned()
    }

    fn status(&self) -> String {
        let state: Value =
            serde_json::from_str(&self.runtime(&["state", "one"]).stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.runtime(&["delete", "--force", "one"]);
        let names = testkit::leaks::Names {
            directory: self.directory.clone(),
            bridge: String::new(),
            cgroup: format!("corten-runtime-{}", self.slot.number),
        };
        testkit::leaks::remove_cgroups(&names);
        _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn the_life_of_a_container() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let created = bundle.runtime(&["create", "--bundle", &bundle.path(), "one"]);
    assert_eq!(created.code, 0, "{created:?}");
    assert_eq!(bundle.status(), "created");
    assert_eq!(bundle.runtime(&["start", "one"]).code, 0);
    assert_eq!(bundle.status(), "running");
    assert_ne!(
        bundle.runtime(&["delete", "one"]).code,
        0,
        "a running container is not deleted"
    );
    assert_eq!(bundle.runtime(&["kill", "one", "KILL"]).code, 0);
    assert!(eventually(Duration::from_secs(5), || bundle.status() == "stopped"));
    assert_eq!(bundle.runtime(&["delete", "one"]).code, 0);
    assert_ne!(bundle.runtime(&["state", "one"]).code, 0);
    let entries = fs::read_dir(bundle.directory.join("state"))
        .into_iter()
        .flatten()
        .flatten();
    assert_eq!(
        entries
            .filter(|entry| Path::new(&entry.path()).is_dir())
            .count(),
        0
    );
}

#[test]
fn run_gives_the_exit_code() {
    let bundle = Bundle::new(&["sh", "-c", "echo from the bundle; exit 7"]);
    let output = bundle.runtime(&["run", "--bundle", &bundle.path(), "one"]);
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("from the bundle\n", 7)
    );
}
