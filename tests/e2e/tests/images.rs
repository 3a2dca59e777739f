//! `load`, `import`, `images`, `tag`, `rmi`: images from archives.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::json;
use testkit::{Context, command, fixtures};

use crate::registry_evil::{digest, filter};

/// Loads an image as docker saved it for years, of layers: each plain, and as the archive has it.
pub(crate) fn load_layers(context: &Context, name: &str, layers: &[(&[u8], &[u8])]) {
    let directory = context.directory().join("saved-layers");
    fs::create_dir_all(&directory).expect("create the directory");
    let mut files = Vec::new();
    for (number, (_, stored)) in layers.iter().enumerate() {
        files.push(format!("{number}.tar"));
        fs::write(directory.join(&files[number]), stored).expect("write a layer");
    }
    let diff_ids: Vec<String> = layers.iter().map(|(plain, _)| digest(plain)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/busybox", "echo", "whole"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": files}]);
    for (file, document) in [("config.json", config), ("manifest.json", manifest)] {
        fs::write(directory.join(file), document.to_string()).expect("write a document");
    }
    let directory = directory.to_str().expect("UTF-8");
    let archive = filter("tar", &["-C", directory, "-c", "."], b"");
    let loaded = context.corten_with(&["load"], &archive);
    assert_eq!(loaded.ok(), format!("Loaded image: {name}"));
}

#[test]
fn load_names_what_it_loaded() {
    let context = Context::new();
    let archive = fixtures::image("busybox");
    let loaded = context.corten(&["load", "-i", &archive.to_string_lossy()]);
    assert_eq!(loaded.ok(), "Loaded image: busybox:latest");
    let bytes = fs::read(&archive).expect("the archive");
    assert_eq!(
        context.corten_with(&["load"], &bytes).ok(),
        "Loaded image: busybox:latest"
    );
    assert_eq!(
        context
            .corten(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .ok(),
        "busybox:latest"
    );
}

#[test]
fn archives_may_be_compressed() {
    let context = Context::new();
    let archive = fixtures::image("busybox");
    for program in ["gzip", "zstd", "xz"] {
        let packed = Command::new(program)
            .arg("-1")
            .arg("-c")
            .arg(&archive)
            .output()
            .expect("run the packer")
            .stdout;
        let output = context.corten_with(&["load"], &packed);
        assert_eq!(output.ok(), "Loaded image: busybox:latest", "{program}");
        assert_eq!(
            context
                .corten(&["run", "--rm", "busybox", "echo", program])
                .ok(),
            program
        );
        context.corten(&["rmi", "busybox"]).ok();
    }
}

#[test]
fn an_oci_layout_loads() {
    let context = Context::new();
    let layout = context.directory().join("oci.tar");
    let Some(mut skopeo) = fixtures::client("skopeo") else {
        testkit::skip!("no skopeo in the clients")
    };
    let source = format!("docker-archive:{}", fixtures::image("busybox").display());
    let target = format!("oci-archive:{}:busybox:latest", layout.display());
    skopeo
        .args(["--insecure-policy", "copy", "--quiet", &source, &target])
        .env("TMPDIR", context.directory());
    command::run(&mut skopeo).ok();
    context
        .corten(&["load", "-q", "-i", &layout.to_string_lossy()])
        .ok();
    assert_eq!(
        context
            .corten(&["run", "--rm", "busybox", "echo", "oci"])
            .ok(),
        "oci"
    );
}

#[test]
fn every_kind_of_layer_entry_arrives() {
    let context = Context::new();
    context.load("layered");
    let listing = "cat /EXPECT; echo; find /data -xdev -type f | wc -l; stat -c '%a %u %g' /data/owned; \
                   stat -c %h /data/base /data/lower-link; readlink /data/was-also; \
                   getfattr -d /data/xattrs 2>/dev/null; stat -c '%F %t %T' /data/null";
    let output = context.corten(&[
        "run",
        "--rm",
        "--cap-add",
        "MKNOD",
        "layered",
        "sh",
        "-c",
        listing,
    ]);
    let (expect, rest) = output
        .ok()
        .split_once("\n\n")
        .expect("the list and the rest");
    for line in expect.lines() {
        check(&context, line);
    }
    assert!(rest.contains("4755 1000 70000"), "{rest}");
    assert!(rest.contains("character special file 1 3"), "{rest}");
    let files: u32 = rest
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a count");
    assert!((17_900..20_100).contains(&files), "{files} files");
}

/// One line of the image's own list of what must be.
fn check(context: &Context, line: &str) {
    let (kind, rest) = line.split_once(' ').expect("a kind");
    let (path, content) = rest.split_once(' ').unwrap_or((rest, ""));
    let script = match kind {
        "file" => format!("[ -f {path} ] && [ \"$(cat {path})\" = '{content}' ]"),
        "absent" => format!("[ ! -e {path} ] && [ ! -L {path} ]"),
        "present" => format!("[ -f {path} ]"),
        "device" => format!("[ -c {path} ]"),
        "fifo" => format!("[ -p {path} ]"),
        "link" => format!("[ \"$(readlink {path})\" = {content} ]"),
        other => panic!("unknown kind {other}"),
    };
    assert_eq!(
        context
            .corten(&["run", "--rm", "layered", "sh", "-c", &script])
            .code,
        0,
        "{line}"
    );
}

#[test]
fn import_makes_an_image_of_a_tree() {
    let context = Context::busybox();
    let tree = context.directory().join("tree");
    fs::create_dir_all(tree.join("bin")).expect("create the tree");
    fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("copy busybox");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&tree)
        .args(["-c", "."])
        .output()
        .expect("run tar")
        .stdout;
    let id = context.corten_with(
        &[
            "import",
            "-c",
            "CMD [\"/bin/busybox\",\"echo\",\"imported\"]",
            "-",
            "mine:v1",
        ],
        &packed,
    );
    assert!(id.ok().starts_with("sha256:"), "{id:?}");
    assert_eq!(context.corten(&["run", "--rm", "mine:v1"]).ok(), "imported");
    let clis: [fn(&Context, &[&str]) -> Command; 2] =
        [Context::corten_command, Context::docker_command];
    let built = 1 + usize::from(fixtures::docker().is_some());
    for cli in &clis[..built] {
        let import = |platform: &str| {
            let arguments = ["import", "--platform", platform, "-", "for:other"];
            command::run_with(&mut cli(&context, &arguments), &packed, command::LIMIT)
        };
        import("Linux/AARCH64").ok();
        let platform = "{{.Os}}/{{.Architecture}}/{{.Variant}}";
        assert_eq!(context.inspect("for:other", platform), "linux/arm64/");
        import("linux/arm/v7").ok();
        assert_eq!(context.inspect("for:other", platform), "linux/arm/v7");
        for (wrong, words) in [
            ("windows/amd64", "operating system is not supported"),
            (
                "nonsense",
                "\"nonsense\": unknown operating system or architecture",
            ),
        ] {
            let refused = import(wrong);
            let text = refused.fails(1);
            assert!(
                text.starts_with(&format!("Error response from daemon: {words}")),
                "{text}"
            );
        }
    }
}

#[test]
fn tags_and_removal() {
    let context = Context::busybox();
    context.corten(&["tag", "busybox", "mine:v1"]).ok();
    assert_eq!(
        context.corten(&["rmi", "busybox"]).ok(),
        "Untagged: busybox:latest"
    );
    context
        .corten(&["create", "--name", "user", "mine:v1", "true"])
        .ok();
    assert!(
        context
            .corten(&["rmi", "mine:v1"])
            .fails(1)
            .contains("conflict"),
        "in use"
    );
    context.corten(&["rm", "user"]).ok();
    assert!(
        context
            .corten(&["rmi", "mine:v1"])
            .ok()
            .contains("Deleted: sha256:")
    );
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
}

#[test]
fn hello_needs_no_archive() {
    let context = Context::new();
    let output = context.corten(&["run", "--rm", "corten/hello"]);
    assert!(output.ok().to_lowercase().contains("hello"), "{output:?}");
}

#[test]
fn saved_images_load_again_and_elsewhere() {
    let context = Context::busybox();
    context.corten(&["tag", "busybox", "other:v1"]).ok();
    let id = context.inspect("busybox", "{{.Id}}");
    let archive = context.directory().join("saved.tar");
    let path = archive.to_string_lossy().into_owned();
    context
        .corten(&["save", "-o", &path, "busybox", "other:v1"])
        .ok();
    // As docker's: an image may hold secrets.
    let mode = fs::metadata(&archive).expect("the archive").mode();
    assert_eq!(mode & 0o7777, 0o600);
    if let Some(mut skopeo) = fixtures::client("skopeo") {
        let source = format!("docker-archive:{path}:busybox:latest");
        let target = format!("dir:{}", context.directory().join("copied").display());
        skopeo
            .args(["--insecure-policy", "copy", "--quiet", &source, &target])
            .env("TMPDIR", context.directory());
        command::run(&mut skopeo).ok();
    }
    context.corten(&["rmi", "-f", &id]).ok();
    let loaded = context.corten(&["load", "-i", &path]);
    assert_eq!(
        loaded.ok(),
        "Loaded image: busybox:latest\nLoaded image: other:v1"
    );
    assert_eq!(context.inspect("other:v1", "{{.Id}}"), id);
    assert_eq!(
        context
            .corten(&["run", "--rm", "busybox", "echo", "saved"])
            .ok(),
        "saved"
    );
    let missing = context.corten(&["save", "-o", &path, "nosuch"]);
    assert_eq!(
        missing.fails(1).trim(),
        "Error response from daemon: No such image: nosuch"
    );
    if fixtures::docker().is_some() {
        context.docker(&["save", "-o", &path, "busybox"]).ok();
        context.docker(&["rmi", "-f", &id]).ok();
        context.docker(&["load", "-i", &path]).ok();
        assert_eq!(context.inspect("busybox", "{{.Id}}"), id);
    }
}

#[test]
fn history_and_pruning() {
    let context = Context::busybox();
    let history = context.corten(&["history", "busybox"]);
    let mut lines = history.ok().lines();
    assert_eq!(
        lines
            .next()
            .map(|line| line.split_whitespace().collect::<Vec<_>>()),
        Some(vec!["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"])
    );
    assert!(lines.next().is_some());
    if fixtures::docker().is_some() {
        assert_eq!(
            context.docker(&["history", "--no-trunc", "busybox"]).ok(),
            context.corten(&["history", "--no-trunc", "busybox"]).ok()
        );
    }
    let pruned = context.corten(&["image", "prune", "-f"]);
    assert_eq!(pruned.ok(), "Total reclaimed space: 0B");
    context
        .corten(&["create", "--name", "user", "busybox", "true"])
        .ok();
    context.corten(&["image", "prune", "-af"]).ok();
    assert_ne!(context.corten(&["images", "-q"]).ok(), "");
    context.corten(&["rm", "user"]).ok();
    let pruned = context.corten(&["image", "prune", "-af"]);
    assert!(
        pruned
            .ok()
            .starts_with("Deleted Images:\nuntagged: busybox:latest\ndeleted: sha256:"),
        "{pruned:?}"
    );
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
}
