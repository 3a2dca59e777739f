//! `pull`, `push`, `login`: with a real registry, by both command lines.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::command::{self, eventually};
use testkit::registry::Real;
use testkit::{Context, Output, Settings, fixtures};

use crate::images::load_layers;
use crate::registry_evil::{filter, tar};

/// One of the two command lines.
pub(crate) type Cli = fn(&Context, &[&str]) -> Output;

pub(crate) fn clis() -> Vec<Cli> {
    let mut clis: Vec<Cli> = vec![|context, arguments| context.corten(arguments)];
    if fixtures::docker().is_some() {
        clis.push(|context, arguments| context.docker(arguments));
    }
    clis
}

/// Tags an image for a registry and pushes it; returns its name there.
fn pushed(context: &Context, registry: &Real, image: &str) -> String {
    let name = format!("{}/{image}:latest", registry.host());
    context.corten(&["tag", image, &name]).ok();
    context.corten(&["push", "--quiet", &name]).ok();
    name
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn an_image_comes_back_as_it_went() {
    let registry = Real::start();
    let context = Context::busybox();
    for cli in clis() {
        let name = format!("{}/library/busybox:latest", registry.host());
        cli(&context, &["tag", "busybox", &name]).ok();
        let output = cli(&context, &["push", &name]);
        let text = output.ok();
        assert!(
            text.starts_with(&format!(
                "The push refers to repository [{}/library/busybox]\n",
                registry.host()
            )),
            "{text}"
        );
        let digest = text
            .rsplit_once("latest: digest: ")
            .and_then(|(_, rest)| rest.split(' ').next())
            .expect("a digest")
            .to_owned();
        cli(&context, &["rmi", &name]).ok();
        context.corten(&["rmi", "-f", "busybox"]).ok();
        assert_eq!(cli(&context, &["images", "-aq"]).ok(), "");

        let output = cli(&context, &["pull", &name]);
        let text = output.ok();
        for line in [
            "latest: Pulling from library/busybox",
            ": Pull complete",
            &format!("Digest: {digest}"),
            &format!("Status: Downloaded newer image for {name}"),
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(text.lines().last(), Some(name.as_str()));
        assert_eq!(
            cli(&context, &["run", "--rm", &name, "echo", "pulled"]).ok(),
            "pulled"
        );
        let output = cli(&context, &["pull", &name]);
        assert_eq!(
            output.ok(),
            format!(
                "latest: Pulling from library/busybox\nDigest: {digest}\nStatus: Image is up to date for {name}\n{name}"
            )
        );
        let repository = name.strip_suffix(":latest").expect("a tag");
        let by_digest = format!("{repository}@{digest}");
        assert_eq!(
            cli(
                &context,
                &["inspect", "--format", "{{index .RepoDigests 0}}", &name]
            )
            .ok(),
            by_digest
        );
        assert!(
            cli(&context, &["images", "--digests"])
                .ok()
                .contains(&digest)
        );
        // Pushed on, it is the same; and the registry takes the layer from its neighbour.
        let other = format!("{}/other:v1", registry.host());
        cli(&context, &["tag", &name, &other]).ok();
        let output = cli(&context, &["push", &other]);
        assert!(output.ok().contains(&format!("v1: digest: {digest}")));
        assert!(
            output.ok().contains("Mounted from library/busybox") || output.ok().contains("exists")
        );
        cli(&context, &["rmi", "-f", &name, &other]).ok();
        cli(&context, &["pull", "-q", &by_digest]).ok();
        assert_eq!(
            cli(&context, &["run", "--rm", &by_digest, "echo", "by digest"]).ok(),
            "by digest"
        );
        cli(&context, &["rmi", "-f", &by_digest]).ok();
        context.load("busybox");
    }
}

#[test]
fn what_is_not_there_is_told_in_dockers_words() {
    let registry = Real::start();
    let context = Context::busybox();
    let name = pushed(&context, &registry, "busybox");
    let missing = name.replace(":latest", ":nope");
    for cli in clis() {
        assert_eq!(
            cli(&context, &["pull", &missing]).fails(1).trim(),
            format!(
                "Error response from daemon: manifest for {missing} not found: manifest unknown: manifest unknown"
            )
        );
        let output = cli(&context, &["push", &missing]);
        assert_eq!(
            output.fails(1).trim(),
            format!("tag does not exist: {missing}")
        );
        let nosuch = format!("{}/nosuch", registry.host());
        assert_eq!(
            cli(&context, &["push", &nosuch]).fails(1).trim(),
            format!("An image does not exist locally with the tag: {nosuch}")
        );
        let run = cli(&context, &["run", "--rm", &missing, "true"]);
        assert!(
            run.fails(125)
                .contains(&format!("Unable to find image '{missing}' locally")),
            "{run:?}"
        );
    }
}

#[test]
fn a_registry_that_is_not_reached_is_told_soon() {
    let context = Context::new();
    let output = context.corten(&["pull", "registry.invalid/some/image"]);
    let text = output.fails(1);
    assert!(
        text.contains("Get \"https://registry.invalid/v2/") && text.contains("dial tcp"),
        "{text}"
    );
    let output = context.corten(&["run", "--rm", "127.0.0.1:1/nosuch"]);
    let text = output.fails(125);
    assert!(
        text.starts_with("Unable to find image '127.0.0.1:1/nosuch:latest' locally\n"),
        "{text}"
    );
    assert!(text.contains("connection refused"), "{text}");
}

#[test]
fn a_mirror_is_asked_in_docker_hubs_place() {
    let registry = Real::start();
    {
        let context = Context::busybox();
        let name = format!("{}/library/busybox", registry.host());
        context.corten(&["tag", "busybox", &name]).ok();
        context.corten(&["push", &name]).ok();
    }
    let mirror = format!("http://{}", registry.host());
    let context = Context::with(Settings {
        arguments: vec!["--registry-mirror".to_owned(), mirror.clone()],
        ..Settings::default()
    });
    let run = context.corten(&["run", "--rm", "busybox", "echo", "mirrored"]);
    assert_eq!(run.ok(), "mirrored");
    assert!(
        run.stderr.starts_with(
            "Unable to find image 'busybox:latest' locally\nlatest: Pulling from library/busybox\n"
        ),
        "{run:?}"
    );
    let listed = context.corten(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(listed.ok(), "busybox:latest");
    let info = context.corten(&["info", "--format", "{{json .RegistryConfig.Mirrors}}"]);
    assert_eq!(info.ok(), format!("[\"{mirror}/\"]"));
    let events = context.corten(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=pull",
        "--format",
        "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}",
    ]);
    assert_eq!(events.ok(), "image pull busybox:latest busybox");
}

#[test]
fn all_tags_go_and_come() {
    let registry = Real::start();
    let context = Context::busybox();
    let repository = format!("{}/tags", registry.host());
    for tag in ["a", "b"] {
        context
            .corten(&["tag", "busybox", &format!("{repository}:{tag}")])
            .ok();
    }
    let text = context.corten(&["push", "--all-tags", &repository]);
    assert!(text.ok().contains("\na: digest: ") && text.ok().contains("\nb: digest: "));
    context
        .corten(&[
            "rmi",
            "-f",
            &format!("{repository}:a"),
            &format!("{repository}:b"),
            "busybox",
        ])
        .ok();
    let text = context.corten(&["pull", "-a", &repository]);
    assert!(
        text.ok()
            .contains(&format!("Status: Downloaded newer image for {repository}")),
        "{text:?}"
    );
    assert_eq!(text.ok().lines().last(), Some(repository.as_str()));
    let listed = context.corten(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        &repository,
    ]);
    let mut names: Vec<&str> = listed.ok().lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [format!("{repository}:a"), format!("{repository}:b")]
    );
    // Quietly: of all that came the repository alone is told.
    for cli in clis() {
        context.corten(&["image", "prune", "-af"]).ok();
        let quiet = cli(&context, &["pull", "-a", "-q", &repository]);
        assert_eq!(
            (quiet.ok(), quiet.stderr.as_str()),
            (repository.as_str(), "")
        );
        let listed = context.corten(&["images", "-q", "--filter", "reference=*/tags:*"]);
        assert_eq!(listed.ok().lines().count(), 2, "{listed:?}");
        let named = format!("{repository}:a");
        assert_eq!(
            cli(&context, &["pull", "-a", "-q", &named]).fails(1).trim(),
            "tag can't be used with --all-tags/-a"
        );
    }
}

/// Everything in an image but what a container adds: names, kinds, modes, owners, times and contents.
fn tree(context: &Context, image: &str) -> String {
    let script = "cd / && find . -xdev \\( -path ./proc -o -path ./sys -o -path ./dev -o -path ./etc \\) -prune -o -print0 \
                  | xargs -0 stat -c '%n %F %a %u %g %h %s %Y %t %T' | sort; \
                  find /data -xdev -type f -print0 | xargs -0 md5sum | sort";
    context
        .corten(&["run", "--rm", "--entrypoint", "sh", image, "-c", script])
        .ok()
        .to_owned()
}

/// How many snapshots there are, without the empty ones that wait.
fn trees(context: &Context) -> usize {
    let directory = context.directory().join("data/snapshots");
    let entries = fs::read_dir(directory).expect("snapshots are kept");
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter(|name| {
            let name = name.to_string_lossy();
            name != ".empty" && !name.starts_with("ready-")
        })
        .count()
}

#[test]
fn a_pulled_image_is_the_loaded_one() {
    let registry = Real::start();
    let context = Context::new();
    context.load("layered");
    let loaded = tree(&context, "layered");
    let name = pushed(&context, &registry, "layered");
    context.corten(&["rmi", "-f", &name, "layered"]).ok();
    assert_eq!(trees(&context), 0);
    context.corten(&["pull", &name]).ok();
    let pulled = tree(&context, &name);
    // A directory without an entry of its own has the time at which something was made in it.
    let comparable = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if words.iter().any(|word| word == "directory") {
            words.remove(words.len() - 3);
        }
        words
    };
    for (left, right) in loaded.lines().zip(pulled.lines()) {
        assert_eq!(comparable(left), comparable(right));
    }
    assert_eq!(loaded.lines().count(), pulled.lines().count());
    assert!(loaded.lines().count() > 20_000);
}

#[test]
fn pulls_of_one_image_at_once_share_its_downloads() {
    let registry = Real::start();
    let context = Context::new();
    context.load("layered");
    let name = pushed(&context, &registry, "layered");
    context.corten(&["rmi", "-f", &name, "layered"]).ok();
    let pulls: Vec<_> = (0..4)
        .map(|_| context.corten_start(&["pull", &name]))
        .collect();
    for pull in pulls {
        // 300 MB beside other tests: an emulated machine took more than four minutes.
        pull.wait(2 * command::LIMIT).expect("in time").ok();
    }
    assert_eq!(count(&context.directory().join("data/content/partial")), 0);
    let log = registry.log();
    let downloads = |line: &&str| {
        line.contains("http.request.method=GET")
            && line.contains("/blobs/")
            && line.contains("response completed")
    };
    let mut blobs: Vec<&str> = log
        .lines()
        .filter(downloads)
        .filter_map(|line| line.split("/blobs/").nth(1)?.get(..71))
        .collect();
    let all = blobs.len();
    blobs.sort_unstable();
    blobs.dedup();
    // Configurations are small and fetched by each; layers are not.
    assert!(all <= blobs.len() + 3, "{all} downloads of {}", blobs.len());
    assert_eq!(
        context.corten(&["run", "--rm", &name, "echo", "one"]).ok(),
        "one"
    );
}

#[test]
fn an_interrupted_client_cancels_its_pull() {
    let registry = Real::start();
    let context = Context::new();
    context.load("layered");
    let name = pushed(&context, &registry, "layered");
    context.corten(&["rmi", "-f", &name, "layered"]).ok();
    let data = context.directory().join("data");
    let pull = context.corten_start(&["pull", &name]);
    assert!(eventually(Duration::from_secs(20), || {
        count(&data.join("content/partial")) > 0 || count(&data.join("content/blobs/sha256")) > 0
    }));
    command::signal(pull.pid(), "INT");
    drop(pull.wait(command::LIMIT));
    // Whether it was in time or not, nothing is half done.
    let settled = eventually(Duration::from_secs(30), || {
        let list = context.corten(&["images", "-q"]);
        let extracting = fs::read_dir(data.join("snapshots")).map_or(0, |entries| {
            entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("extract"))
                .count()
        });
        extracting == 0 && (!list.ok().is_empty() || count(&data.join("snapshots")) == 1)
    });
    assert!(
        settled,
        "{:?}",
        Command::new("ls").arg(data.join("snapshots")).output()
    );
    context.corten(&["pull", &name]).ok();
    assert_eq!(count(&data.join("content/partial")), 0);
    assert_eq!(
        context
            .corten(&["run", "--rm", &name, "echo", "whole"])
            .ok(),
        "whole"
    );
}

#[test]
fn a_daemon_that_is_killed_in_a_pull_goes_on_from_what_was_there() {
    let registry = Real::start();
    let mut context = Context::new();
    context.load("layered");
    let name = pushed(&context, &registry, "layered");
    context.corten(&["rmi", "-f", &name, "layered"]).ok();
    let data = context.directory().join("data");
    let pull = context.corten_start(&["pull", &name]);
    assert!(eventually(Duration::from_secs(20), || {
        count(&data.join("content/blobs/sha256")) > 0 || count(&data.join("content/partial")) > 0
    }));
    context.kill_daemon();
    drop(pull.wait(command::LIMIT));
    context.start_daemon();
    let pulled = context.corten(&["pull", &name]);
    pulled.ok();
    assert_eq!(count(&data.join("content/partial")), 0);
    assert_eq!(
        context
            .corten(&["run", "--rm", &name, "echo", "whole"])
            .ok(),
        "whole"
    );
    context.corten(&["rmi", "-f", &name]).ok();
    assert_eq!(count(&data.join("content/blobs/sha256")), 0);
    let rest = eventually(Duration::from_secs(10), || trees(&context) == 0);
    assert!(rest, "layers are left");
}

#[test]
fn the_api_streams_dockers_json() {
    let registry = Real::start();
    let context = Context::busybox();
    let name = pushed(&context, &registry, "busybox");
    context.corten(&["rmi", "-f", &name, "busybox"]).ok();
    let repository = name.strip_suffix(":latest").expect("a tag");
    let path = format!("/images/create?fromImage={repository}&tag=latest");
    let answer = context.request("POST", &path, None).expect("an answer");
    assert_eq!(answer.status, 200);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["status"], "Pulling from busybox");
    assert_eq!(lines[0]["id"], "latest");
    assert!(lines[0].get("progressDetail").is_none());
    assert_eq!(lines[1]["status"], "Pulling fs layer");
    assert_eq!(lines[1]["progressDetail"], serde_json::json!({}));
    assert_eq!(lines[1]["id"].as_str().map(str::len), Some(12));
    let missing = format!("/images/create?fromImage={repository}&tag=nope");
    let answer = context.request("POST", &missing, None).expect("an answer");
    assert_eq!(answer.status, 404);
    let path = format!("/distribution/{name}/json");
    let answer = context.request("GET", &path, None).expect("an answer");
    assert_eq!(answer.json()["Platforms"][0]["os"], "linux");
}

#[test]
fn a_layer_in_another_compression_is_pushed_in_one_that_registries_know() {
    let registry = Real::start();
    let context = Context::new();
    let name = format!("{}/packed:v1", registry.host());
    let plain = tar(&context.directory().join("tree"), &["bin"]);
    let stored = filter("xz", &["-1", "-c"], &plain);
    load_layers(&context, &name, &[(&plain, &stored)]);
    context.corten(&["push", "-q", &name]).ok();
    let elsewhere = Context::new();
    elsewhere.corten(&["pull", "-q", &name]).ok();
    assert_eq!(elsewhere.corten(&["run", "--rm", &name]).ok(), "whole");
}
