//! Registries that lie: a clear error, nothing stored, nothing outside touched; and one that breaks off, which is continued.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use testkit::command::{self, eventually};
use testkit::registry::{Answer, Request, Scripted};
use testkit::{Context, fixtures};

pub(crate) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the filter");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writer").expect("all is read");
    output.stdout
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let text = String::from_utf8(filter("sha256sum", &[], bytes)).expect("hexadecimal");
    format!("sha256:{}", &text[..64])
}

/// A repository in the making: what is answered, by path.
#[derive(Clone, Default)]
pub(crate) struct Repository {
    blobs: HashMap<String, Vec<u8>>,
    layers: Vec<serde_json::Value>,
    diff_ids: Vec<String>,
}

impl Repository {
    /// Adds a layer; `tar` is compressed.
    pub(crate) fn layer(&mut self, tar: &[u8]) -> String {
        self.diff_ids.push(digest(tar));
        self.packed(filter("gzip", &["-1", "-n", "-c"], tar))
    }

    fn packed(&mut self, bytes: Vec<u8>) -> String {
        let name = digest(&bytes);
        self.layers.push(json!({
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": name, "size": bytes.len()
        }));
        self.blobs.insert(name.clone(), bytes);
        name
    }

    /// The manifest, once all layers are there.
    fn manifest(&mut self) -> Vec<u8> {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/busybox", "echo", "whole"]},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids}
        })
        .to_string()
        .into_bytes();
        let name = digest(&config);
        let size = config.len();
        self.blobs.insert(name.clone(), config);
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": name, "size": size},
            "layers": self.layers
        })
        .to_string()
        .into_bytes()
    }
}

fn served(manifest: &[u8]) -> Answer {
    Answer::ok(manifest)
        .header(
            "Content-Type",
            "application/vnd.docker.distribution.manifest.v2+json",
        )
        .header("Docker-Content-Digest", &digest(manifest))
}

/// A repository whose name points at an index of two machines, one of them this; that one's digest.
pub(crate) fn serve_index(mut repository: Repository) -> (Scripted, String) {
    let manifest = repository.manifest();
    let own = digest(&manifest);
    let entry = |digest: &str, size: usize, architecture: &str| {
        json!({
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture}
        })
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [entry(&digest(b"{}"), 2, "s390x"), entry(&own, manifest.len(), "amd64")]
    })
    .to_string();
    let name = own.clone();
    let registry = Scripted::start(move |request| {
        if request.path.ends_with(&format!("/manifests/{name}")) {
            return served(&manifest);
        }
        if request.path.contains("/manifests/") {
            let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
            return Answer::ok(index.as_bytes()).header("Content-Type", kind);
        }
        let blob = request.path.split_once("/blobs/");
        match blob.and_then(|(_, name)| repository.blobs.get(name)) {
            Some(bytes) => Answer::range(request, bytes),
            None => Answer::ok("{}"),
        }
    });
    (registry, own)
}

/// Answers by path; `blob` may change what is answered for a blob.
pub(crate) fn serve(
    mut repository: Repository,
    blob: impl Fn(&str, &Request, &[u8]) -> Option<Answer> + Send + Sync + 'static,
) -> Scripted {
    let manifest = repository.manifest();
    Scripted::start(move |request| {
        if request.path.contains("/manifests/") {
            return served(&manifest);
        }
        let Some((_, name)) = request.path.split_once("/blobs/") else {
            return Answer::ok("{}");
        };
        match repository.blobs.get(name) {
            None => Answer::new(404),
            Some(bytes) => {
                blob(name, request, bytes).unwrap_or_else(|| Answer::range(request, bytes))
            }
        }
    })
}

/// A tree with busybox, packed by tar with further arguments.
pub(crate) fn tar(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    fs::create_dir_all(directory.join("bin")).expect("create the tree");
    fs::copy("/bin/busybox", directory.join("bin/busybox")).expect("copy busybox");
    let mut all = vec!["-C", directory.to_str().expect("UTF-8"), "-c"];
    all.extend(arguments);
    filter("tar", &all, b"")
}

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        // A tree that waits for its key is of nobody.
        .filter(|name| !name.starts_with("ready-"))
        .collect();
    names.sort();
    names
}

/// Pulls, expects a failure with these words, and that nothing was stored.
#[track_caller]
fn refused(context: &Context, registry: &Scripted, words: &str) {
    let name = format!("{}/evil", registry.host());
    let output = context.corten(&["pull", &name]);
    let text = output.fails(1);
    assert!(text.contains(words), "{words}: {text}");
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
    let data = context.directory().join("data");
    assert!(
        eventually(Duration::from_secs(5), || {
            entries(&data.join("snapshots")) == [".empty"]
        }),
        "{:?}",
        entries(&data.join("snapshots"))
    );
    for path in [
        "images",
        "refs",
        "content/ingest",
        "content/blobs/sha256",
        "content/partial",
    ] {
        assert_eq!(entries(&data.join(path)), [""; 0], "{path}");
    }
}

#[test]
fn lies_about_content_are_refused_and_nothing_is_stored() {
    let context = Context::new();
    let good = tar(&context.directory().join("tree"), &["."]);

    let mut repository = Repository::default();
    repository.layer(&good);
    // An entry of another archive: its directory first, so it does not depend on the layer below.
    let name = repository.layer(&tar(&context.directory().join("tree"), &["./bin"]));
    let registry = serve(repository.clone(), move |asked, request, bytes| {
        let mut bytes = bytes.to_vec();
        if asked == name {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(Answer::range(request, &bytes))
    });
    refused(&context, &registry, "sha256:");

    let mut lying = repository.clone();
    lying.diff_ids[0] = digest(b"something else");
    refused(
        &context,
        &serve(lying, |_, _, _| None),
        "its content has the digest",
    );

    let mut short = repository.clone();
    short.diff_ids.pop();
    refused(
        &context,
        &serve(short, |_, _, _| None),
        "invalid manifest, layers length mismatch",
    );

    let mut no_archive = Repository::default();
    no_archive.diff_ids.push(digest(b"not a tar at all"));
    no_archive.packed(b"not a tar at all".to_vec());
    refused(&context, &serve(no_archive, |_, _, _| None), "layer");

    let mut torn = Repository::default();
    torn.diff_ids.push(digest(&good));
    let mut packed = filter("gzip", &["-1", "-n", "-c"], &good);
    packed.truncate(packed.len() / 2);
    torn.packed(packed);
    refused(&context, &serve(torn, |_, _, _| None), "layer");
}

/// Otherwise a push of the image that a stranger made would hand out the other image's layer.
#[test]
fn a_layer_that_is_there_is_not_taken_for_another_of_the_same_tree() {
    let context = Context::new();
    let tree = context.directory().join("tree");
    let mut images = ["./bin", "."].map(|part| {
        let mut image = Repository::default();
        image.layer(&tar(&tree, &[part]));
        image
    });
    for (name, image) in ["public", "private"].iter().zip(&images) {
        let registry = serve(image.clone(), |_, _, _| None);
        context
            .corten(&["pull", "-q", &format!("{}/{name}", registry.host())])
            .ok();
    }
    let blobs = context.directory().join("data/content/blobs/sha256");
    let before = entries(&blobs);

    let [public, private] = &mut images;
    // Its server need not have what it names.
    public.layers.clone_from(&private.layers);
    let registry = serve(public.clone(), |_, _, _| None);
    let output = context.corten(&["pull", &format!("{}/evil", registry.host())]);
    let text = output.fails(1);
    assert!(text.contains("its content has the digest"), "{text}");
    assert_eq!(entries(&blobs), before);
    assert_eq!(context.corten(&["images", "-q"]).ok().lines().count(), 2);
}

#[test]
fn archives_that_lead_out_are_refused() {
    let context = Context::new();
    let tree = context.directory().join("tree");
    fs::create_dir_all(&tree).expect("create the tree");
    fs::write(tree.join("evil"), "evil").expect("write");
    let canary = context.directory().join("CANARY");
    fs::write(&canary, "untouched").expect("write the canary");
    let before = entries(context.directory());
    for transform in [
        "s,evil,../../../../../../../../escaped,",
        "s,evil,x/../../../../escaped,",
    ] {
        let mut repository = Repository::default();
        let layer = tar(&tree, &["-P", "--transform", transform, "evil"]);
        repository.layer(&layer);
        refused(
            &context,
            &serve(repository, |_, _, _| None),
            "leads out of the layer",
        );
    }
    assert_eq!(entries(context.directory()), before);
    assert_eq!(fs::read(&canary).expect("the canary"), b"untouched");
    assert!(!Path::new("/escaped").exists());
}

#[test]
fn a_manifest_for_other_machines_is_told() {
    let context = Context::new();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, "digest": digest(b"{}"),
            "platform": {"os": "linux", "architecture": "s390x"}
        }]
    })
    .to_string();
    let registry = Scripted::start(move |_| {
        Answer::ok(index.as_bytes())
            .header("Content-Type", "application/vnd.oci.image.index.v1+json")
    });
    let name = format!("{}/other", registry.host());
    let output = context.corten(&["pull", "--platform", "linux/arm64", &name]);
    assert_eq!(
        output.fails(1).trim(),
        "no matching manifest for linux/arm64 in the manifest list entries"
    );
    if fixtures::docker().is_some() {
        let output = context.docker(&["pull", &name]);
        assert!(
            output
                .fails(1)
                .contains("no matching manifest for linux/amd64 in the manifest list entries"),
            "{output:?}"
        );
    }
}

#[test]
fn a_download_goes_on_where_a_killed_daemon_left_it() {
    let mut context = Context::new();
    let tree = context.directory().join("tree");
    let good = tar(&tree, &["bin"]);
    fs::write(
        tree.join("large"),
        filter("head", &["-c", "8000000", "/dev/urandom"], b""),
    )
    .expect("write");
    let large = tar(&tree, &["large"]);
    let mut repository = Repository::default();
    repository.layer(&good);
    let slow = repository.layer(&large);
    let hex = slow.replace("sha256:", "");
    let stalled = Arc::new(AtomicBool::new(true));
    let offsets = Arc::new(Mutex::new(Vec::new()));
    let registry = {
        let (stalled, offsets) = (stalled.clone(), offsets.clone());
        serve(repository, move |asked, request, bytes| {
            if asked != slow {
                return None;
            }
            offsets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(request.offset());
            let answer = Answer::range(request, bytes);
            Some(if stalled.load(Ordering::SeqCst) {
                // Every connection brings a little, so that the client never gives up.
                answer.closed_after(200_000)
            } else {
                answer
            })
        })
    };
    let name = format!("{}/slow", registry.host());
    let data = context.directory().join("data");
    let pull = context.corten_start(&["pull", &name]);
    let partial = data.join("content/partial").join(&hex);
    let begun = || fs::metadata(&partial).is_ok_and(|metadata| metadata.len() > 150_000);
    assert!(eventually(Duration::from_secs(20), begun));
    context.kill_daemon();
    drop(pull.wait(command::LIMIT));
    stalled.store(false, Ordering::SeqCst);
    let before = offsets.lock().unwrap_or_else(PoisonError::into_inner).len();
    context.start_daemon();
    context.corten(&["pull", &name]).ok();
    let offsets = offsets.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(offsets[before] > 100_000, "{offsets:?}");
    assert_eq!(entries(&data.join("content/partial")), [""; 0]);
    assert_eq!(context.corten(&["run", "--rm", &name]).ok(), "whole");
}

#[test]
fn a_connection_that_breaks_is_told_and_taken_up_again() {
    let context = Context::new();
    let mut repository = Repository::default();
    let layer = repository.layer(&tar(&context.directory().join("tree"), &["bin"]));
    let broken = AtomicBool::new(false);
    let registry = serve(repository, move |asked, request, bytes| {
        (asked == layer && !broken.swap(true, Ordering::SeqCst))
            .then(|| Answer::range(request, bytes).closed_after(10_000))
    });
    let name = format!("{}/broken", registry.host());
    let pulled = context.corten(&["pull", &name]);
    assert!(
        pulled.ok().contains(": Retrying in 1 second\n"),
        "{pulled:?}"
    );
    assert_eq!(context.corten(&["run", "--rm", &name]).ok(), "whole");
}

#[test]
fn a_daemon_that_is_told_to_stop_gives_up_a_pull() {
    let mut context = Context::new();
    let tree = context.directory().join("tree");
    let mut repository = Repository::default();
    let name = repository.layer(&tar(&tree, &["bin"]));
    let registry = serve(repository, move |asked, request, bytes| {
        // It never comes to its end.
        (asked == name).then(|| Answer::range(request, bytes).closed_after(10_000))
    });
    let image = format!("{}/slow", registry.host());
    let data = context.directory().join("data");
    let pull = context.corten_start(&["pull", &image]);
    assert!(eventually(Duration::from_secs(20), || {
        !entries(&data.join("content/partial")).is_empty()
    }));
    context.stop_daemon();
    drop(pull.wait(command::LIMIT));
    assert!(
        context.daemon_log().contains("Daemon shutdown complete"),
        "{}",
        context.daemon_log()
    );
    context.start_daemon();
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
}
