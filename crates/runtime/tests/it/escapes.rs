//! Images made to get out: every place that the runtime touches is a link to the host.

use std::fs;
use std::os::unix::fs::symlink;

use crate::Test;
use crate::bundle::{Bundle, strings};

pub(crate) const TESTS: &[Test] = &[
    (
        "escapes::links_at_special_places_are_refused",
        special_links,
    ),
    ("escapes::mount_points_stay_inside", mount_points),
    ("escapes::masks_do_not_follow_out", masks),
    ("escapes::descriptors_do_not_leak", descriptors),
    ("escapes::proc_behind_a_link", proc_behind_link),
];

fn special_links() {
    for name in ["proc", "sys", "dev"] {
        let canary = tempfile::tempdir().unwrap();
        let bundle = Bundle::new("echo ran");
        let place = bundle.root().join(name);
        fs::remove_dir(&place).unwrap();
        symlink(canary.path(), &place).unwrap();
        let failure = bundle.fail();
        assert!(
            failure.message.contains("ordinary directory"),
            "{}",
            failure.message
        );
        assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0);
    }
}

fn mount_points() {
    let canary = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("seen"), "").unwrap();
    for target in [
        canary.path().to_str().unwrap().to_owned(),
        format!("../../../../..{}", canary.path().display()),
    ] {
        let mut bundle = Bundle::new("ls /mnt/deep");
        symlink(&target, bundle.root().join("mnt")).unwrap();
        fs::create_dir_all(format!(
            "{}{}",
            bundle.root().display(),
            canary.path().display()
        ))
        .unwrap();
        bundle.spec.mounts.push(oci::runtime::Mount {
            destination: "/mnt/deep".to_owned(),
            kind: "bind".to_owned(),
            source: source.path().to_str().unwrap().to_owned(),
            options: strings(&["rbind"]),
        });
        assert_eq!(bundle.run().success(), "seen\n");
        assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0);
    }
}

fn masks() {
    let canary = tempfile::tempdir().unwrap();
    fs::write(canary.path().join("file"), "content").unwrap();
    let mut bundle = Bundle::new("cat /hidden/file; echo $?");
    symlink(canary.path(), bundle.root().join("hidden")).unwrap();
    bundle.linux().masked_paths = strings(&["/hidden/file"]);
    assert!(bundle.run().output.ends_with("1\n"));
    assert_eq!(
        fs::read_to_string(canary.path().join("file")).unwrap(),
        "content"
    );
}

fn descriptors() {
    // Descriptors of the host left open on purpose: none gets through, none is a working directory (CVE-2024-21626).
    let leaks: Vec<_> = (0..20).map(|_| rustless_dup()).collect();
    for number in 3..30 {
        let mut bundle = Bundle::new("ls /; pwd");
        bundle.process().cwd = format!("/proc/self/fd/{number}");
        let failure = bundle.fail();
        assert_eq!(
            failure.stage,
            runtime::Stage::WorkingDirectory,
            "{}",
            failure.message
        );
        assert!(
            bundle
                .root()
                .join("proc")
                .read_dir()
                .unwrap()
                .next()
                .is_none()
        );
    }
    let output = Bundle::new("for f in /proc/self/fd/*; do echo $f; done")
        .run()
        .success();
    assert!(output.lines().count() <= 4, "{output}");
    drop(leaks);
}

/// A descriptor of `/` that an exec does not close.
fn rustless_dup() -> std::os::fd::OwnedFd {
    sys::mount::open_readable(std::path::Path::new("/")).unwrap()
}

fn proc_behind_link() {
    let mut bundle = Bundle::new("echo ran");
    symlink("/proc/sys", bundle.root().join("innocent")).unwrap();
    let source = tempfile::tempdir().unwrap();
    bundle.spec.mounts.push(oci::runtime::Mount {
        destination: "/innocent".to_owned(),
        kind: "bind".to_owned(),
        source: source.path().to_str().unwrap().to_owned(),
        options: strings(&["rbind"]),
    });
    let failure = bundle.fail();
    assert!(
        failure.message.contains("inside /proc"),
        "{}",
        failure.message
    );
}
