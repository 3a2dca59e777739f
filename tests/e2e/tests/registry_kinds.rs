//! What a registry keeps beside images, and images in unusual wrappings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::Context;
use testkit::registry::{Answer, Scripted};

use crate::registry::clis;
use crate::registry_evil::{Repository, digest, filter, serve_index, tar};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A registry in the making.
#[derive(Default)]
struct Shelf {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl Shelf {
    fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let name = digest(bytes);
        self.blobs.insert(name.clone(), bytes.to_vec());
        json!({"mediaType": kind, "digest": name, "size": bytes.len()})
    }

    /// Adds a manifest; returns what an index says of it.
    fn manifest(&mut self, tag: &str, kind: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let name = digest(&bytes);
        let size = bytes.len();
        for key in [tag, &name] {
            self.manifests
                .insert(key.to_owned(), (kind.to_owned(), bytes.clone()));
        }
        json!({"mediaType": kind, "digest": name, "size": size})
    }

    fn image(&mut self, tag: &str, config: &Value, layer: &Value) -> Value {
        let document = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]
        });
        self.manifest(tag, MANIFEST, &document)
    }

    fn index(&mut self, tag: &str, entries: &[Value]) -> Value {
        let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        self.manifest(tag, INDEX, &document)
    }

    fn serve(self) -> Scripted {
        Scripted::start(move |request| {
            let name = request.path.rsplit('/').next().unwrap_or_default();
            if request.path.contains("/manifests/") {
                return match self.manifests.get(name) {
                    Some((kind, bytes)) => Answer::ok(bytes.clone())
                        .header("Content-Type", kind)
                        .header("Docker-Content-Digest", &digest(bytes)),
                    None => Answer::new(404),
                };
            }
            if !request.path.contains("/blobs/") {
                return Answer::ok("{}");
            }
            match self.blobs.get(name) {
                Some(bytes) => Answer::range(request, bytes),
                None => Answer::new(404),
            }
        })
    }
}

/// A shelf with one image's configuration and layer.
fn shelf(context: &Context) -> (Shelf, Value, Value) {
    let plain = tar(&context.directory().join("tree"), &["bin"]);
    let config = json!({
        "architecture": machine(), "os": "linux", "config": {"Cmd": ["/bin/busybox", "echo", "whole"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&plain)]}
    });
    let mut shelf = Shelf::default();
    let config = shelf.blob(CONFIG, config.to_string().as_bytes());
    let layer = shelf.blob(LAYER, &filter("gzip", &["-1", "-n", "-c"], &plain));
    (shelf, config, layer)
}

fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}

#[test]
fn what_is_no_image_is_told_in_dockers_words() {
    let context = Context::new();
    let (mut shelf, config, layer) = shelf(&context);
    let empty = shelf.blob("application/vnd.oci.empty.v1+json", b"{}");
    let artifact = shelf.image(
        "artifact",
        &empty,
        &with(layer.clone(), "mediaType", json!("application/x")),
    );
    let platform = json!({"os": "linux", "architecture": machine()});
    shelf.index("index", &[with(artifact, "platform", platform)]);
    let chart = with(
        empty.clone(),
        "mediaType",
        json!("application/vnd.cncf.helm.config.v1+json"),
    );
    shelf.image("chart", &chart, &layer);
    let plugin = with(
        empty,
        "mediaType",
        json!("application/vnd.docker.plugin.v1+json"),
    );
    shelf.image("plugin", &plugin, &layer);
    let strange = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    shelf.manifest("strange", "application/vnd.example.v1+json", &strange);
    let blobs = json!({"artifactType": "application/x", "blobs": [layer]});
    shelf.manifest(
        "old-artifact",
        "application/vnd.oci.artifact.manifest.v1+json",
        &blobs,
    );
    shelf.index("nothing", &[]);
    let registry = shelf.serve();
    for cli in clis() {
        for (tag, said) in [
            (
                "artifact",
                "unsupported media type application/vnd.oci.empty.v1+json",
            ),
            (
                "index",
                "unsupported media type application/vnd.oci.empty.v1+json",
            ),
            (
                "chart",
                "unsupported media type application/vnd.cncf.helm.config.v1+json",
            ),
            (
                "plugin",
                "Error response from daemon: Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching",
            ),
            (
                "strange",
                "Error response from daemon: unsupported media type application/vnd.example.v1+json",
            ),
            (
                "old-artifact",
                "Error response from daemon: unsupported media type application/vnd.oci.artifact.manifest.v1+json",
            ),
        ] {
            let pulled = cli(&context, &["pull", &format!("{}/x:{tag}", registry.host())]);
            assert_eq!(pulled.fails(1).trim(), said);
        }
        let pulled = cli(
            &context,
            &["pull", &format!("{}/x:nothing", registry.host())],
        );
        assert!(
            pulled.fails(1).contains("no matching manifest for linux/"),
            "{pulled:?}"
        );
    }
    assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
}

#[test]
fn unusual_wrappings_are_unwrapped() {
    let context = Context::new();
    let (mut shelf, config, layer) = shelf(&context);
    let image = shelf.image("plain", &config, &layer);
    shelf.image(
        "layer",
        &config,
        &with(
            layer.clone(),
            "mediaType",
            json!("application/vnd.example.layer"),
        ),
    );
    shelf.index("platformless", std::slice::from_ref(&image));
    let inner = shelf.index("inner", std::slice::from_ref(&image));
    shelf.index("outer", &[inner]);
    let mut deep = image;
    for level in 0..8 {
        deep = shelf.index(&format!("level-{level}"), &[deep]);
    }
    let registry = shelf.serve();
    let name = |tag: &str| format!("{}/x:{tag}", registry.host());
    for cli in clis() {
        for tag in ["plain", "layer", "platformless", "outer"] {
            cli(&context, &["pull", "-q", &name(tag)]).ok();
            assert_eq!(cli(&context, &["run", "--rm", &name(tag)]).ok(), "whole");
            cli(&context, &["rmi", "-f", &name(tag)]).ok();
        }
        let deep = cli(&context, &["pull", &name("level-7")]);
        assert!(deep.fails(1).contains("nested too deeply"), "{deep:?}");
    }
}

#[test]
fn a_digest_counts_whatever_the_tag_beside_it_says() {
    let context = Context::new();
    let (mut shelf, config, layer) = shelf(&context);
    let image = shelf.image("v1", &config, &layer);
    let registry = shelf.serve();
    let digest = image["digest"].as_str().expect("a digest");
    for cli in clis() {
        let name = format!("{}/x:nosuch@{digest}", registry.host());
        let pulled = cli(&context, &["pull", &name]);
        assert!(
            pulled.ok().contains(&format!("Digest: {digest}\n")),
            "{pulled:?}"
        );
        let listed = cli(
            &context,
            &[
                "images",
                "--digests",
                "--format",
                "{{.Repository}} {{.Tag}} {{.Digest}}",
            ],
        );
        assert_eq!(
            listed.ok(),
            format!("{}/x <none> {digest}", registry.host())
        );
        cli(
            &context,
            &["rmi", "-f", &format!("{}/x@{digest}", registry.host())],
        )
        .ok();
        assert_eq!(cli(&context, &["images", "-aq"]).ok(), "");
    }
}

#[test]
fn layers_are_told_in_their_order_there_or_not() {
    let context = Context::new();
    let (mut shelf, config, layer) = shelf(&context);
    shelf.image("v1", &config, &layer);
    let directory = context.directory().join("more");
    std::fs::create_dir_all(&directory).expect("create a directory");
    std::fs::write(directory.join("more"), "more").expect("write a file");
    let place = directory.to_string_lossy().into_owned();
    let plain = filter("tar", &["-C", &place, "-c", "more"], b"");
    let packed = &shelf.blobs[layer["digest"].as_str().expect("a digest")];
    let below = filter("gzip", &["-dc"], packed);
    let both = json!({
        "architecture": machine(), "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(&below), digest(&plain)]}
    });
    let both = shelf.blob(CONFIG, both.to_string().as_bytes());
    let more = shelf.blob(LAYER, &filter("gzip", &["-1", "-n", "-c"], &plain));
    let document = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": both, "layers": [layer, more]
    });
    shelf.manifest("v2", MANIFEST, &document);
    let registry = shelf.serve();
    context
        .corten(&["pull", "-q", &format!("{}/x:v1", registry.host())])
        .ok();
    let pulled = context.corten(&["pull", &format!("{}/x:v2", registry.host())]);
    let short = |layer: &Value| layer["digest"].as_str().expect("a digest")[7..19].to_owned();
    let begun = format!(
        "v2: Pulling from x\n{}: Already exists\n{}: Pulling fs layer\n",
        short(&layer),
        short(&more)
    );
    assert!(pulled.ok().starts_with(&begun), "{pulled:?}");
    assert!(
        pulled
            .ok()
            .contains(&format!("{}: Pull complete\n", short(&more))),
        "{pulled:?}"
    );
}

#[test]
fn a_container_for_another_machine_takes_no_image_of_this_one() {
    let context = Context::new();
    let layer = tar(&context.directory().join("tree"), &["bin"]);
    let mut repository = Repository::default();
    repository.layer(&layer);
    let (registry, _) = serve_index(repository);
    let name = format!("{}/multi:v1", registry.host());
    for cli in clis() {
        let import = ["import", "--platform", "linux/arm64", "-", &name];
        context.corten_with(&import, &layer).ok();
        let run = cli(
            &context,
            &["run", "--rm", "--platform", "linux/amd64", &name],
        );
        assert_eq!(run.ok(), "whole");
        let told = format!("Unable to find image '{name}' locally\n");
        assert!(run.stderr.starts_with(&told), "{run:?}");
        let create = |platform| {
            let arguments = ["create", "--pull=never", "--platform", platform, &name];
            cli(&context, &arguments)
        };
        let refused = create("linux/arm64");
        let why = format!(
            "Error response from daemon: image with reference {name} was found but its platform (linux/amd64) does not match \
             the specified platform (linux/arm64)\n"
        );
        assert_eq!(refused.fails(1), why);
        create("linux/amd64").ok();
    }
    let body = json!({ "Image": name });
    for (path, status) in [
        ("/containers/create?platform=nonsense", 400),
        ("/containers/create?platform=linux/arm64", 404),
        ("/v1.40/containers/create?platform=linux/arm64", 201),
        ("/containers/create", 201),
    ] {
        let answer = context.request("POST", path, Some(&body));
        assert_eq!(answer.expect("an answer").status, status, "{path}");
    }
}
