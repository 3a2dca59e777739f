//! `-v`, `--mount` and `--tmpfs`: what a container finds there, and what it may write.

use std::fs;

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
