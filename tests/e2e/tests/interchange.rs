//! `save` and `load` with dockerd, podman and skopeo, both ways: an archive of one is an image of the other, with the same id.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::registry::Real;
use testkit::tree::{Dockerd, FILES, Tree};
use testkit::{Context, command, fixtures};

use crate::registry::clis;
use crate::registry_evil::{Repository, serve_index, tar};

/// Busybox as it was loaded, and as it comes from a registry, with a compressed layer; the second one's digest there.
fn two_images(context: &Context) -> String {
    let registry = Real::start();
    let remote = format!("{}/packed:v1", registry.host());
    context.corten(&["tag", "busybox", &remote]).ok();
    context.corten(&["push", "-q", &remote]).ok();
    context.corten(&["rmi", "-f", &remote, "busybox"]).ok();
    context.corten(&["pull", "-q", &remote]).ok();
    context.corten(&["tag", &remote, "packed:v1"]).ok();
    let digest = context.inspect(&remote, "{{index .RepoDigests 0}}");
    context.corten(&["rmi", &remote]).ok();
    let plain = import(context);
    assert!(plain.starts_with("sha256:"), "{plain}");
    digest.split_once('@').expect("a digest").1.to_owned()
}

/// An image of a plain layer: `plain:v1`.
fn import(context: &Context) -> String {
    let tree = context.directory().join("plain");
    fs::create_dir_all(tree.join("bin")).expect("create a tree");
    fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("copy busybox");
    let tar = Command::new("tar")
        .args(["-c", "-C"])
        .arg(&tree)
        .arg("bin")
        .output();
    let archive = tar.expect("run tar").stdout;
    let change = "CMD [\"/bin/busybox\",\"echo\",\"plain\"]";
    let imported = context.corten_with(&["import", "-c", change, "-", "plain:v1"], &archive);
    imported.ok().to_owned()
}

fn saved(context: &Context, path: &Path) {
    let path = path.to_string_lossy();
    context
        .corten(&["save", "-o", &path, "packed:v1", "plain:v1"])
        .ok();
}

fn ids(context: &Context) -> [String; 2] {
    ["packed:v1", "plain:v1"].map(|name| context.inspect(name, "{{.Id}}"))
}

/// Forgets both images and loads them from an archive.
fn loaded_again(context: &Context, path: &Path) {
    context.corten(&["image", "prune", "-af"]).ok();
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
    context
        .corten(&["load", "-q", "-i", &path.to_string_lossy()])
        .ok();
}

fn assert_both_run(context: &Context, packed: &str, plain: &str) {
    let run = context.corten(&["run", "--rm", packed, "echo", "packed"]);
    assert_eq!(run.ok(), "packed");
    assert_eq!(context.corten(&["run", "--rm", plain]).ok(), "plain");
}

#[test]
fn dockerd_loads_what_is_saved_and_the_other_way_round() {
    if fixtures::client("dockerd").is_none() {
        testkit::skip!("no dockerd in the clients")
    }
    let context = Context::busybox();
    two_images(&context);
    let ids = ids(&context);
    let dockerd = Dockerd::start(
        &context.directory().join("dockerd"),
        &format!("{}-dockerd", context.names().cgroup),
        &context.directory().join("dockerd.log"),
        &["--bridge=none", "--iptables=false", "--ip6tables=false"],
    )
    .expect("start dockerd");
    let ours = context.directory().join("ours.tar");
    saved(&context, &ours);
    let output = dockerd.docker(&["load", "-q", "-i", &ours.to_string_lossy()]);
    assert_eq!(
        output.ok(),
        "Loaded image: packed:v1\nLoaded image: plain:v1"
    );
    let inspect = ["inspect", "--format", "{{.Id}}", "packed:v1", "plain:v1"];
    assert_eq!(dockerd.docker(&inspect).ok(), ids.join("\n"));

    let theirs = context.directory().join("theirs.tar");
    let path = theirs.to_string_lossy().into_owned();
    dockerd
        .docker(&["save", "-o", &path, "packed:v1", "plain:v1"])
        .ok();
    loaded_again(&context, &theirs);
    assert_eq!(self::ids(&context), ids);
    assert_both_run(&context, "packed:v1", "plain:v1");
    // And once more from what was theirs.
    saved(&context, &ours);
    dockerd.docker(&["image", "prune", "-af"]).ok();
    dockerd
        .docker(&["load", "-q", "-i", &ours.to_string_lossy()])
        .ok();
    assert_eq!(dockerd.docker(&inspect).ok(), ids.join("\n"));
}

#[test]
fn podman_loads_what_is_saved_and_the_other_way_round() {
    if fixtures::client("podman").is_none() {
        testkit::skip!("no podman in the clients")
    }
    let context = Context::busybox();
    two_images(&context);
    let ids = ids(&context);
    let tree = Tree::new(&context.directory().join("podman")).expect("a scratch directory");
    fs::write(
        tree.files().join("policy.json"),
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )
    .expect("write the policy");
    saved(&context, &tree.files().join("ours.tar"));
    let inside = |name: &str| format!("{FILES}/{name}");
    let (policy, ours) = (inside("policy.json"), inside("ours.tar"));
    tree.podman(&["load", "-q", "--signature-policy", &policy, "-i", &ours])
        .ok();
    let inspect = [
        "inspect",
        "--format",
        "sha256:{{.Id}}",
        "packed:v1",
        "plain:v1",
    ];
    assert_eq!(tree.podman(&inspect).ok(), ids.join("\n"));

    let archive = inside("docker.tar");
    let save = ["save", "-q", "-m", "--format", "docker-archive", "-o"];
    let names = [archive.as_str(), "packed:v1", "plain:v1"];
    tree.podman(&[&save[..], &names].concat()).ok();
    loaded_again(&context, &tree.files().join("docker.tar"));
    let found = ["localhost/packed:v1", "localhost/plain:v1"];
    assert_eq!(found.map(|name| context.inspect(name, "{{.Id}}")), ids);
    assert_both_run(&context, found[0], found[1]);

    let archive = inside("oci.tar");
    let save = ["save", "-q", "--format", "oci-archive", "-o", &archive];
    tree.podman(&[&save[..], &["plain:v1"]].concat()).ok();
    loaded_again(&context, &tree.files().join("oci.tar"));
    let run = context.corten(&["run", "--rm", "localhost/plain:v1"]);
    assert_eq!(run.ok(), "plain");
}

#[test]
fn skopeo_reads_an_archive_as_docker_archive_and_as_layout_with_the_registrys_digest() {
    if fixtures::client("skopeo").is_none() {
        testkit::skip!("no skopeo in the clients")
    }
    let context = Context::busybox();
    let digest = two_images(&context);
    let ids = ids(&context);
    let skopeo = |arguments: &[&str]| {
        let mut skopeo = fixtures::client("skopeo").expect("looked for it");
        skopeo
            .arg("--insecure-policy")
            .args(arguments)
            .env("TMPDIR", context.directory());
        command::run(&mut skopeo)
    };
    let ours = context.directory().join("ours.tar");
    let path = ours.to_string_lossy();
    context.corten(&["save", "-o", &path, "packed:v1"]).ok();
    // A layout names its images by the tag alone.
    let layout = format!("oci-archive:{path}:v1");
    let inspected = skopeo(&["inspect", "--format", "{{.Digest}}", &layout]);
    assert_eq!(inspected.ok(), digest);
    saved(&context, &ours);
    for (number, name) in ["packed:v1", "plain:v1"].into_iter().enumerate() {
        let copy = context.directory().join(format!("copy-{number}.tar"));
        let source = format!("docker-archive:{}:{name}", ours.display());
        let target = format!("docker-archive:{}:{name}", copy.display());
        skopeo(&["copy", "-q", &source, &target]).ok();
        loaded_again(&context, &copy);
        assert_eq!(context.inspect(name, "{{.Id}}"), ids[number]);
        let copy = context.directory().join(format!("layout-{number}.tar"));
        let target = format!("oci-archive:{}:{name}", copy.display());
        skopeo(&["copy", "-q", &source, &target]).ok();
        loaded_again(&context, &copy);
        context
            .corten(&["run", "--rm", name, "/bin/busybox", "true"])
            .ok();
    }
}

#[test]
fn a_loaded_image_keeps_its_manifest_and_a_large_one_needs_little_memory() {
    let context = Context::busybox();
    let digest = two_images(&context);
    let ours = context.directory().join("ours.tar");
    saved(&context, &ours);
    loaded_again(&context, &ours);
    let registry = Real::start();
    let name = format!("{}/again:v1", registry.host());
    context.corten(&["tag", "packed:v1", &name]).ok();
    let pushed = context.corten(&["push", &name]);
    assert!(pushed.ok().contains(&digest), "{pushed:?}");

    context.load("debian-bookworm");
    context
        .corten(&["save", "-o", &ours.to_string_lossy(), "debian:bookworm"])
        .ok();
    assert!(fs::metadata(&ours).expect("an archive").len() > 100_000_000);
    let status = fs::read_to_string(format!("/proc/{}/status", context.daemon_pid()));
    let status = status.expect("the daemon's status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.trim().strip_suffix(" kB"));
    let peak: u64 = peak.and_then(|text| text.parse().ok()).expect("a number");
    assert!(peak < 100 << 10, "{peak} KiB");
}

#[test]
fn of_an_index_the_one_image_that_was_pulled_is_pushed() {
    let context = Context::new();
    let mut repository = Repository::default();
    repository.layer(&tar(&context.directory().join("tree"), &["bin"]));
    let (origin, digest) = serve_index(repository);
    let name = format!("{}/multi:v1", origin.host());
    context
        .corten(&["pull", "-q", "--platform", "linux/amd64", &name])
        .ok();
    // The name was of the index; what is here is one image of it.
    let by_name = context.inspect(&name, "{{index .RepoDigests 0}}");
    assert!(!by_name.ends_with(&digest), "{by_name}");
    let target = Real::start();
    let pushed = format!("{}/single:v1", target.host());
    context.corten(&["tag", &name, &pushed]).ok();
    let output = context.corten(&["push", &pushed]);
    assert!(
        output
            .ok()
            .contains(&format!("v1: digest: {digest} size: ")),
        "{output:?}"
    );
    // With a platform, as Docker says it.
    context
        .corten(&["push", "-q", "--platform", "linux/amd64", &pushed])
        .ok();
    context.corten(&["tag", &name, "single"]).ok();
    let repository = pushed.trim_end_matches(":v1");
    for cli in clis() {
        for (name, full) in [
            (pushed.as_str(), pushed.as_str()),
            ("single", "docker.io/library/single:latest"),
        ] {
            let refused = cli(&context, &["push", "-q", "--platform", "linux/arm64", name]);
            assert_eq!(
                refused.fails(1).trim(),
                format!(
                    "Error response from daemon: image with reference {full} was found but its platform (linux/amd64) \
                     does not match the specified platform (linux/arm64)"
                )
            );
        }
        // Of all tags it is `latest` that must be for that machine.
        let all = ["push", "-a", "--platform", "linux/amd64", repository];
        assert_eq!(
            cli(&context, &all).fails(1).trim(),
            format!("Error response from daemon: No such image: {repository}:latest")
        );
    }
    context.corten(&["image", "prune", "-af"]).ok();
    let by_digest = format!("{}/single@{digest}", target.host());
    context.corten(&["pull", "-q", &by_digest]).ok();
    assert_eq!(context.corten(&["run", "--rm", &by_digest]).ok(), "whole");
}
