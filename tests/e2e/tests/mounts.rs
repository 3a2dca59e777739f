//! `-v`, `--mount` and `--tmpfs`: what a container finds there, and what it may write.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use testkit::Context;

use crate::run::check;

#[test]
fn a_tmpfs_on_a_place_that_the_image_lacks_is_open_to_all_at_every_start() {
    let context = Context::busybox();
    let script = "touch /new/scratch/x && stat -c %a /new /new/scratch";
    let user = ["-u", "1000", "--tmpfs", "/new/scratch"];
    let program = ["busybox", "sh", "-c", script];
    let run = context.corten(&[&["run", "--name", "scratch"], &user[..], &program].concat());
    assert_eq!(run.ok(), "755\n1777");
    assert_eq!(
        context.corten(&["start", "-a", "scratch"]).ok(),
        "755\n1777"
    );
    // What is there gives its mode.
    check(
        &context,
        &["--tmpfs", "/etc", "busybox", "stat", "-c", "%a", "/etc"],
        "755",
    );
}

#[test]
fn binds_are_the_hosts_files() {
    let context = Context::busybox();
    let shared = context.directory().join("shared");
    fs::create_dir(&shared).expect("create the directory");
    fs::write(shared.join("in"), "from the host\n").expect("write the file");
    let volume = format!("{}:/mnt", shared.display());
    check(
        &context,
        &[
            "-v",
            &volume,
            "busybox",
            "sh",
            "-c",
            "cat /mnt/in; echo back > /mnt/out",
        ],
        "from the host",
    );
    assert_eq!(
        fs::read_to_string(shared.join("out")).expect("the container wrote it"),
        "back\n"
    );

    let read_only = format!("{volume}:ro");
    let output = context.corten(&[
        "run", "--rm", "-v", &read_only, "busybox", "touch", "/mnt/x",
    ]);
    assert_eq!(output.code, 1, "{}", output.stdout);

    let mount = format!(
        "type=bind,source={},target=/mnt/a/file",
        shared.join("in").display()
    );
    check(
        &context,
        &["--mount", &mount, "busybox", "cat", "/mnt/a/file"],
        "from the host",
    );

    // `-v` makes a missing directory, as Docker does.
    let missing = shared.join("missing");
    let volume = format!("{}:/mnt", missing.display());
    check(&context, &["-v", &volume, "busybox", "true"], "");
    assert!(missing.is_dir());
}

/// A tmpfs on the host, for as long as a test needs it.
struct Mounted(PathBuf);

impl Mounted {
    fn on(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).expect("create the mount point");
        let mount = ["-t", "tmpfs", "corten-test"];
        let done = Command::new("mount").args(mount).arg(&directory).status();
        assert!(done.expect("run mount").success());
        Self(directory)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        done.expect("run umount");
    }
}

#[test]
fn a_read_only_bind_covers_what_is_mounted_below_it() {
    let context = Context::busybox();
    let shared = context.directory().join("shared");
    let _below = Mounted::on(shared.join("below"));
    let script = "for d in /mnt /mnt/below; do touch $d/x 2>/dev/null && echo $d; done; true";
    let program = ["sh", "-c", script];
    let bind = format!("{}:/mnt:ro", shared.display());
    let mount = format!("type=bind,source={},target=/mnt,readonly", shared.display());
    let [writable, readonly] = [
        "bind-recursive=writable",
        "bind-recursive=readonly,bind-propagation=rprivate",
    ]
    .map(|option| format!("{mount},{option}"));
    for (option, value, expected) in [
        ("-v", &bind, ""),
        ("--mount", &mount, ""),
        ("--mount", &readonly, ""),
        ("--mount", &writable, "/mnt/below"),
    ] {
        let arguments = [&[option, value.as_str(), "busybox"][..], &program].concat();
        check(&context, &arguments, expected);
    }
    let body = json!({ "Image": "busybox", "Cmd": program, "HostConfig": { "Binds": [bind] } });
    for (version, expected) in [("1.44", ""), ("1.43", "/mnt/below")] {
        let path = format!("/v{version}/containers/create?name={version}");
        let created = context.request("POST", &path, Some(&body));
        assert_eq!(created.expect("an answer").status, 201);
        for _ in 0..2 {
            let started = context.corten(&["start", "-a", version]);
            assert_eq!(started.ok(), expected, "{version}");
        }
    }
}
