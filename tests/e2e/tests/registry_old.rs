//! Images of schema 1, as registries have kept them since before 2016.

use std::fs;

use serde_json::json;
use testkit::registry::{Answer, Scripted};
use testkit::{Context, fixtures};

use crate::registry::clis;
use crate::registry_evil::{digest, filter};

const EMPTY_CONFIG: &str =
    r##""container_config":{"Cmd":["/bin/sh","-c","#(nop) CMD [\"/bin/busybox\"]"]}"##;

/// A layer of the fixture, packed.
fn layer() -> Vec<u8> {
    let archive = fixtures::image("busybox");
    let archive = archive.to_string_lossy();
    let list = filter("tar", &["-tf", &archive], b"");
    let names = String::from_utf8(list).expect("names");
    let name = names
        .lines()
        .find(|name| name.ends_with("layer.tar"))
        .expect("the fixture has a layer");
    let tar = filter("tar", &["-xOf", &archive, name], b"");
    filter("gzip", &["-1", "-n", "-c"], &tar)
}

fn base64(bytes: &[u8]) -> String {
    let text = String::from_utf8(filter("base64", &["-w0"], bytes)).expect("letters");
    text.replace('+', "-").replace('/', "_").replace('=', "")
}

/// A manifest with two layers and a throwaway one on top; without its signatures.
fn payload(layer: &str, second: &str) -> String {
    let id = |letter: &str| letter.repeat(64);
    let history = |text: String| json!({ "v1Compatibility": text });
    let top = format!(
        r#"{{"id":"{}","parent":"{}","architecture":"amd64","os":"linux","docker_version":"1.9.1","created":"2015-12-08T18:31:50Z","config":{{"Cmd":["/bin/busybox","echo","old"],"Env":["A=1"]}},{EMPTY_CONFIG},"throwaway":true,"Size":0}}"#,
        id("3"),
        id("2")
    );
    let document = json!({
        "schemaVersion": 1, "name": "old/box", "tag": "latest", "architecture": "amd64",
        "fsLayers": [{"blobSum": second}, {"blobSum": second}, {"blobSum": layer}],
        "history": [
            history(top),
            history(format!(r#"{{"id":"{}","parent":"{}","created":"2015-12-08T18:31:49Z"}}"#, id("2"), id("1"))),
            history(format!(r#"{{"id":"{}","created":"2015-12-08T18:31:48Z","comment":"base"}}"#, id("1"))),
        ],
    });
    serde_json::to_string_pretty(&document).expect("it is JSON")
}

/// The same with a signature, as libtrust writes it.
fn signed(payload: &str) -> String {
    let head = payload.strip_suffix("\n}").expect("it is pretty");
    let protected = format!(
        r#"{{"formatLength":{},"formatTail":"{}","time":"2015-12-08T18:31:50Z"}}"#,
        head.len(),
        base64(b"\n}")
    );
    let signature = json!([{"header": {"alg": "ES256"}, "signature": "x", "protected": base64(protected.as_bytes())}]);
    format!("{head},\n   \"signatures\": {signature}\n}}")
}

/// Serves a manifest and blobs.
fn serve(manifest: String, known_as: String, blobs: Vec<Vec<u8>>) -> Scripted {
    let blobs: Vec<(String, Vec<u8>)> = blobs
        .into_iter()
        .map(|blob| (digest(&blob), blob))
        .collect();
    Scripted::start(move |request| {
        if request.path.contains("/manifests/") {
            return Answer::ok(manifest.clone())
                .header(
                    "Content-Type",
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                )
                .header("Docker-Content-Digest", &known_as);
        }
        let Some((_, name)) = request.path.split_once("/blobs/") else {
            return Answer::ok("{}");
        };
        match blobs.iter().find(|(known, _)| known == name) {
            Some((_, blob)) => Answer::range(request, blob),
            None => Answer::new(404),
        }
    })
}

/// A second, small layer.
fn second() -> Vec<u8> {
    let directory = std::env::temp_dir().join(format!("corten-test-old-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("create a directory");
    fs::write(directory.join("greeting"), "hello\n").expect("write a file");
    let place = directory.to_string_lossy().into_owned();
    let tar = filter(
        "tar",
        &["-C", &place, "--mtime=@0", "-cf", "-", "greeting"],
        b"",
    );
    fs::remove_dir_all(&directory).expect("remove the directory");
    filter("gzip", &["-1", "-n", "-c"], &tar)
}

#[test]
fn an_image_of_schema_1_becomes_one_of_today() {
    let (first, second) = (layer(), second());
    let payload = payload(&digest(&first), &digest(&second));
    let known_as = digest(payload.as_bytes());
    let registry = serve(signed(&payload), known_as.clone(), vec![first, second]);
    let context = Context::new();
    let name = format!("{}/old/box", registry.host());
    for cli in clis() {
        let pulled = cli(&context, &["pull", &name]);
        let text = pulled.ok();
        assert_eq!(text.matches(": Pulling fs layer").count(), 2, "{text}");
        assert_eq!(text.matches(": Download complete").count(), 2, "{text}");
        assert_eq!(text.matches(": Pull complete").count(), 2, "{text}");
        assert!(
            text.contains(&format!(
                "Digest: {known_as}\nStatus: Downloaded newer image"
            )),
            "{text}"
        );
        let again = cli(&context, &["pull", &name]);
        assert!(
            again.ok().contains("Status: Image is up to date"),
            "{again:?}"
        );
        assert_eq!(cli(&context, &["run", "--rm", &name]).ok(), "old");
        assert_eq!(
            cli(&context, &["run", "--rm", &name, "cat", "/greeting"]).ok(),
            "hello"
        );
        let history = cli(
            &context,
            &[
                "history",
                "--no-trunc",
                "--format",
                "{{.CreatedBy}}|{{.Comment}}",
                &name,
            ],
        );
        assert_eq!(
            history.ok(),
            "/bin/sh -c #(nop) CMD [\"/bin/busybox\"]|\n|\n|base"
        );
        assert_eq!(
            cli(
                &context,
                &[
                    "inspect",
                    "--format",
                    "{{index .RepoDigests 0}} {{.Config.Env}} {{len .RootFS.Layers}}",
                    &name
                ]
            )
            .ok(),
            format!("{name}@{known_as} [A=1] 2")
        );
        cli(&context, &["rmi", "-f", &name]).ok();
        cli(&context, &["pull", "-q", &format!("{name}@{known_as}")]).ok();
        let ids = cli(&context, &["images", "-q"]);
        cli(&context, &["rmi", "-f", ids.ok()]).ok();
        assert_eq!(cli(&context, &["images", "-aq"]).ok(), "");
    }
}

#[test]
fn a_manifest_of_schema_1_that_lies_leaves_nothing() {
    let (first, second) = (layer(), second());
    let good = payload(&digest(&first), &digest(&second));
    let blobs = vec![first, second.clone()];
    let known_as = digest(good.as_bytes());
    let pretend = |payload: &str| (signed(payload), digest(payload.as_bytes()));
    let wrong_parent = pretend(&good.replace(&"1".repeat(64), &"4".repeat(64)).replacen(
        &"4".repeat(64),
        &"5".repeat(64),
        1,
    ));
    let missing = pretend(&good.replace(&digest(&second), &format!("sha256:{}", "0".repeat(64))));
    let no_history = pretend(&good.replace("\"history\"", "\"hystory\""));
    let other = (signed(&good.replace("old/box", "new/box")), known_as);
    for ((manifest, known_as), said) in [
        (wrong_parent, "invalid parent ID"),
        (missing, "does not say how long blob"),
        (no_history, "missing field `history`"),
        (other, "verification failed for digest"),
    ] {
        let registry = serve(manifest, known_as, blobs.clone());
        let context = Context::new();
        let pulled = context.corten(&["pull", &format!("{}/old/box", registry.host())]);
        assert!(pulled.fails(1).contains(said), "{said}: {pulled:?}");
        assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
        let snapshots =
            fs::read_dir(context.directory().join("data/snapshots")).expect("the trees");
        let left = snapshots.flatten().filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name != ".empty" && !name.starts_with("ready-")
        });
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn a_digest_that_was_asked_for_is_that_of_the_image() {
    let (first, second) = (layer(), second());
    let evil = payload(&digest(&first), &digest(&second));
    // What the digest stands for is sent along, as what was signed of another image.
    let genuine = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": digest(b"{}")
        },
        "layers": []
    })
    .to_string();
    let protected = format!(
        r#"{{"formatLength":0,"formatTail":"{}"}}"#,
        base64(genuine.as_bytes())
    );
    let head = evil.strip_suffix("\n}").expect("it is pretty");
    let signature = json!([{"protected": base64(protected.as_bytes())}]);
    let known_as = digest(genuine.as_bytes());
    let registry = serve(
        format!("{head},\n   \"signatures\": {signature}\n}}"),
        known_as.clone(),
        vec![first, second],
    );
    let context = Context::new();
    let name = format!("{}/old/box", registry.host());
    for asked in [format!("{name}@{known_as}"), name] {
        let pulled = context.corten(&["pull", &asked]);
        assert!(
            pulled.fails(1).contains("missing field `fsLayers`"),
            "{pulled:?}"
        );
        assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
    }
}
