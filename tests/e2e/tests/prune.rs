//! What nobody uses goes, by both command lines; what somebody uses stays. The table's group `prune` has the words.

use serde_json::Value;
use testkit::command::{self, LIMIT, Output};
use testkit::filters::normalise;
use testkit::{Context, fixtures};

/// Programs under test: ours, and docker's where it is there.
const CLIENTS: [&str; 2] = ["corten", "docker"];

/// Runs a command line that reads an answer.
fn answer(context: &Context, client: &str, arguments: &[&str], answer: &str) -> String {
    let mut command = match client {
        "docker" => context.docker_command(arguments),
        _ => context.corten_command(arguments),
    };
    let output = command::run_with(&mut command, answer.as_bytes(), LIMIT);
    output.ok().to_owned()
}

fn clients() -> impl Iterator<Item = &'static str> {
    CLIENTS
        .into_iter()
        .filter(|client| *client == "corten" || fixtures::docker().is_some())
}

#[test]
fn only_a_yes_prunes() {
    let context = Context::busybox();
    for client in clients() {
        context
            .corten(&["create", "--name", "one", "busybox", "true"])
            .ok();
        for no in ["", "\n", "n\n", "yes\n", "no\ny\n"] {
            for command in [&["container", "prune"][..], &["system", "prune"]] {
                let output = answer(&context, client, command, no);
                assert!(
                    output.ends_with("Are you sure you want to continue? [y/N] "),
                    "{client} {no:?}: {output}"
                );
            }
        }
        let id = context.inspect("one", "{{.Id}}");
        let output = answer(&context, client, &["container", "prune"], " Y \n");
        assert!(
            output.ends_with(&format!(
                "Deleted Containers:\n{id}\n\nTotal reclaimed space: 0B"
            )),
            "{client}: {output}"
        );
    }
}

#[test]
fn system_prune_takes_what_nobody_uses_and_tells_its_size() {
    let context = Context::busybox();
    for client in clients() {
        context.corten(&["tag", "busybox", "used:1"]).ok();
        let write = "head -c 123456 /dev/zero > /file";
        context
            .corten(&["run", "--name", "ended", "busybox", "sh", "-c", write])
            .ok();
        context
            .corten(&["run", "-d", "--name", "runs", "used:1", "sleep", "1000"])
            .ok();
        let output = answer(&context, client, &["system", "prune", "-a"], "y\n");
        assert!(
            output.ends_with("\n\nTotal reclaimed space: 123.5kB"),
            "{client}: {output}"
        );
        assert_eq!(
            context.corten(&["ps", "-a", "--format", "{{.Names}}"]).ok(),
            "runs"
        );
        context.corten(&["exec", "runs", "true"]).ok();
        context.corten(&["rm", "-f", "runs"]).ok();
        let output = answer(&context, client, &["system", "prune", "-af"], "");
        assert!(
            output.starts_with("Deleted Images:\nuntagged: ")
                && output.contains("\ndeleted: sha256:"),
            "{client}: {output}"
        );
        assert_eq!(context.corten(&["images", "-aq"]).ok(), "");
        context.load("busybox");
    }
}

#[test]
fn pruning_is_an_event_with_what_it_freed() {
    let context = Context::busybox();
    let write = "head -c 1000 /dev/zero > /file";
    context
        .corten(&["run", "--name", "ended", "busybox", "sh", "-c", write])
        .ok();
    context.corten(&["system", "prune", "-f", "--volumes"]).ok();
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.reclaimed}}";
    let events = context.corten(&[
        "events",
        "--since",
        "1m",
        "--until",
        "0s",
        "--filter",
        "event=prune",
        "--format",
        format,
    ]);
    assert_eq!(
        events.ok(),
        "container prune 1000\nnetwork prune 0\nvolume prune 0\nimage prune 0\nbuilder prune 0"
    );
}

#[test]
fn the_configuration_file_filters_what_is_pruned() {
    let context = Context::busybox();
    let path = context.directory().join("docker/config.json");
    std::fs::write(path, r#"{"pruneFilters": ["label!=keep", "nonsense"]}"#).expect("write");
    context
        .corten(&["create", "--name", "kept", "-l", "keep", "busybox", "true"])
        .ok();
    context
        .corten(&["create", "--name", "other", "busybox", "true"])
        .ok();
    context.corten(&["system", "prune", "-f"]).ok();
    assert_eq!(
        context.corten(&["ps", "-a", "--format", "{{.Names}}"]).ok(),
        "kept"
    );
    context
        .corten(&["container", "prune", "-f", "--filter", "label=keep"])
        .ok();
    assert_eq!(context.corten(&["ps", "-aq"]).ok(), "");
}

#[test]
fn disk_usage_counts_a_shared_layer_once() {
    let context = Context::busybox();
    // A second image: the same layer, another configuration.
    let directory = context.directory().join("archive");
    std::fs::create_dir(&directory).expect("create a directory");
    let tar = |arguments: &[&str]| {
        let mut tar = std::process::Command::new("tar");
        command::run(tar.arg("-C").arg(&directory).args(arguments)).ok();
    };
    tar(&["-xf", &fixtures::image("busybox").to_string_lossy()]);
    let read = |name: &str| -> Value {
        let text = std::fs::read(directory.join(name)).expect("read");
        serde_json::from_slice(&text).expect("JSON")
    };
    let mut manifest = read("manifest.json");
    let mut config = read(manifest[0]["Config"].as_str().expect("a name"));
    config["author"] = "somebody else".into();
    manifest[0]["Config"] = "other.json".into();
    manifest[0]["RepoTags"] = serde_json::json!(["other:1"]);
    for (name, value) in [("other.json", config), ("manifest.json", manifest)] {
        std::fs::write(directory.join(name), value.to_string()).expect("write");
    }
    let archive = context.directory().join("other.tar");
    let archive = archive.to_string_lossy();
    tar(&["-cf", &archive, "."]);
    context.corten(&["load", "-q", "-i", &archive]).ok();
    let container = context.corten(&["create", "busybox", "true"]);
    let usage = |query: &str| {
        let answer = context.request("GET", &format!("/v1.51/system/df{query}"), None);
        answer.expect("an answer")
    };
    let found = usage("").json();
    let size = &found["LayersSize"];
    for image in found["Images"].as_array().expect("a list") {
        let used = i32::from(image["RepoTags"][0] == "busybox:latest");
        assert_eq!(
            (&image["Size"], &image["SharedSize"], &image["Containers"]),
            (size, size, &used.into())
        );
    }
    assert_eq!(found["Containers"][0]["Id"], container.ok());
    assert_eq!(found["Volumes"], serde_json::json!([]));
    assert_eq!(usage("?type=image").json()["Containers"], Value::Null);
    let wrong = usage("?type=x");
    assert_eq!(
        (wrong.status, &wrong.json()["message"]),
        (400, &"unknown object type: x".into())
    );
}

#[test]
fn everything_that_takes_room_is_told_in_a_format_of_ones_own() {
    let context = Context::busybox();
    context.corten(&["tag", "busybox", "other:v2"]).ok();
    context
        .corten(&[
            "create", "--name", "one", "--label", "a=<b>", "busybox", "true",
        ])
        .ok();
    for format in [
        "json",
        "table",
        "table {{range .Images}}{{.ID}} {{.Repository}}{{end}}",
        "{{json .Containers}}",
        "{{range .Images}}{{.ID}} {{.Repository}}:{{.Tag}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}\\n{{end}}",
        "{{range .Containers}}{{.ID}}\\t{{.Names}} {{.Size}} {{.Label \"a\"}}{{end}}",
        "{{len .Volumes}} {{len .BuildCache}}",
        "{{.Nosuch}}",
        "{{",
    ] {
        let df = ["system", "df", "-v", "--format", format];
        let ours = context.corten(&df);
        if fixtures::docker().is_some() {
            let theirs = context.docker(&df);
            // Some tell of seconds, and one may pass between them.
            let told = |output: &Output| match format {
                "json" | "table" | "{{json .Containers}}" => normalise(&output.stdout),
                _ => output.stdout.clone(),
            };
            assert_eq!(told(&ours), told(&theirs), "{format}");
            assert_eq!((&ours.stderr, ours.code), (&theirs.stderr, theirs.code));
        }
        assert_eq!(
            ours.code,
            i32::from(format.contains("Nosuch") || format == "{{")
        );
    }
    let json = context.corten(&["system", "df", "-v", "--format", "json"]);
    let json: Value = serde_json::from_str(json.ok()).expect("JSON");
    assert_eq!(json["Containers"][0]["Names"], "one");
    assert_eq!(json["BuildCache"], serde_json::json!([]));
}
