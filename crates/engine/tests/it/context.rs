//! An engine of its own for each test, and the proof at the end that nothing is left of it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::container::Spec;
use engine::container::spec::NetworkMode;
use engine::ops::container as ops;
use engine::ops::container::create::Create;
use engine::ops::container::remove::Remove;
use engine::ops::image::Import;
use engine::{Config, Engine};
use snapshots::archive::Writer;

const BUSYBOX: &str = "/bin/busybox";

/// Whether this machine can run the tests.
pub(crate) fn able() -> bool {
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    root && Path::new(BUSYBOX).exists()
}

/// An engine's places.
pub(crate) struct Context {
    directory: tempfile::TempDir,
    pub(crate) engine: Option<Arc<Engine>>,
}

impl Drop for Context {
    /// A test that failed leaves no process either: containers end with their monitors.
    fn drop(&mut self) {
        let Some(engine) = &self.engine else { return };
        let monitors = format!("{}/monitors", engine.config.cgroup_parent);
        for (directory, _) in engine.host.group_dirs(&monitors) {
            let pids = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
                // Found in another hierarchy as well, it is gone already.
                sys::process::kill(pid, 9).ok();
            }
        }
    }
}

impl Context {
    /// Opens an engine with the image `busybox`.
    pub(crate) async fn new() -> Self {
        let context = Self::open(tempfile::tempdir().unwrap()).await;
        import_busybox(context.engine()).await;
        context
    }

    /// Opens an engine where another one was.
    pub(crate) async fn open(directory: tempfile::TempDir) -> Self {
        let engine = Engine::open(config(directory.path())).await.unwrap();
        Self {
            directory,
            engine: Some(engine),
        }
    }

    /// Lets go of the engine as a daemon that is killed would, once the runtime ends too: containers go on.
    pub(crate) fn abandon(mut self) -> tempfile::TempDir {
        self.engine = None;
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    /// Creates a container of busybox.
    pub(crate) async fn create(&self, name: &str, spec: Spec) -> String {
        create(self.engine(), name, spec).await
    }

    /// Runs a command to its end and returns its code and output.
    pub(crate) async fn output(&self, spec: Spec) -> (i32, String) {
        let id = self.create("", spec).await;
        let waited = ops::wait(self.engine(), &id, ops::wait::Condition::NextExit).unwrap();
        ops::start(self.engine(), &id).await.unwrap();
        let code = waited.await.code;
        let text = self.logs(&id).await;
        ops::remove(self.engine(), &id, Remove::default())
            .await
            .unwrap();
        (code, text)
    }

    pub(crate) async fn logs(&self, id: &str) -> String {
        let which = ops::logs::Logs {
            stdout: true,
            stderr: true,
            ..ops::logs::Logs::default()
        };
        let mut stream = ops::logs(self.engine(), id, which).await.unwrap();
        let mut text = Vec::new();
        while let Some(line) = stream.lines.recv().await {
            text.extend(line.unwrap().bytes);
        }
        String::from_utf8(text).unwrap()
    }

    /// Removes all containers, and asserts that nothing is left.
    pub(crate) async fn finish(mut self) {
        let engine = self.engine.take().unwrap();
        for container in ops::list(
            &engine,
            &ops::list::List {
                all: true,
                ..Default::default()
            },
        )
        .unwrap()
        {
            ops::remove(
                &engine,
                container.id(),
                Remove {
                    force: true,
                    volumes: true,
                },
            )
            .await
            .unwrap();
        }
        let config = engine.config.clone();
        let gone = |what: &str, path: PathBuf| {
            let left: Vec<_> = std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            if left.is_empty() {
                None
            } else {
                Some(format!("{what}: {left:?}"))
            }
        };
        let begun = Instant::now();
        loop {
            let mut left = vec![
                gone("containers", config.data_root.join("containers")),
                gone("run directories", config.exec_root.join("containers")),
            ];
            left.push(groups(&engine));
            let left: Vec<String> = left.into_iter().flatten().collect();
            if left.is_empty() {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "left behind: {left:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (host, parent, bridge) = (
            engine.host.clone(),
            config.cgroup_parent.clone(),
            config.bridge.clone(),
        );
        drop(engine);
        for (group, _) in host.group_dirs(&parent) {
            // netd, which was in it, ends when it has seen that its engine is gone.
            while let Err(error) = sys::cgroup::remove(&group) {
                assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let networks = network::Config {
            dir: config.data_root.join("networks"),
            quarantine: config.data_root.join("quarantine"),
            bridge,
            bip: None,
            mtu: None,
            pools: Vec::new(),
            relayed: false,
        };
        let (networks, _) = network::Networks::open(networks, &[]).unwrap();
        networks.clean_up().unwrap();
    }
}

fn groups(engine: &Engine) -> Option<String> {
    let mut left = Vec::new();
    for (group, _) in engine.host.group_dirs(&engine.config.cgroup_parent) {
        for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
            if entry.path().is_dir() && entry.file_name() != "monitors" {
                left.push(entry.path());
            }
        }
    }
    if left.is_empty() {
        None
    } else {
        Some(format!("control groups: {left:?}"))
    }
}

pub(crate) fn config(root: &Path) -> Config {
    Config::for_roots(&root.join("data"), &root.join("run"), "0.0.0-test")
}

pub(crate) async fn create(engine: &Arc<Engine>, name: &str, spec: Spec) -> String {
    let request = Create {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        spec,
        platform: None,
        request: serde_json::Value::Null,
    };
    ops::create(engine, request).await.unwrap().id
}

/// `sh -c` in busybox without a network.
pub(crate) fn shell(script: &str) -> Spec {
    Spec {
        image: "busybox".into(),
        command: Some(vec!["sh".into(), "-c".into(), script.into()]),
        network: NetworkMode::None,
        ..Spec::default()
    }
}

async fn import_busybox(engine: &Arc<Engine>) {
    let mut program = Vec::new();
    std::fs::File::open(BUSYBOX)
        .unwrap()
        .read_to_end(&mut program)
        .unwrap();
    let mut archive = Writer::new(Vec::new());
    for directory in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
        archive.directory(directory, 0o755).unwrap();
    }
    let files: [(&str, &[u8], u32); 6] = [
        ("bin/sh", &program, 0o755),
        ("bin/busybox", &program, 0o755),
        ("bin/text", b"\x00\x01just bytes\n", 0o755),
        ("etc/plain", b"plain\n", 0o644),
        (
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\n",
            0o644,
        ),
        (
            "etc/group",
            b"root:x:0:\nwww:x:33:\naudio:x:29:www\n",
            0o644,
        ),
    ];
    for (path, content, mode) in files {
        archive.file(path, content, mode).unwrap();
    }
    let what = Import {
        reference: Some("busybox".parse().unwrap()),
        ..Import::default()
    };
    let archive = archive.finish().unwrap();
    engine::ops::image::import(engine, Box::new(std::io::Cursor::new(archive)), what)
        .await
        .unwrap();
}
