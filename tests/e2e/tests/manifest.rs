//! `manifest`: both command lines against a real registry say and leave the same.

use std::fs;
use std::path::Path;

use testkit::registry::Real;
use testkit::{Context, command, fixtures};

/// What is compared; `H` is the registry, `V` the digest of `H/box:v2`.
const SCRIPT: &str = "\
manifest inspect H/box:v2
manifest inspect --insecure H/box:v2
manifest inspect --insecure -v H/box:v2
manifest inspect --insecure H/box@V
manifest inspect --insecure H/box:nope
manifest inspect --insecure H/nope:nope
manifest inspect --insecure H/box:v2@sha256:aaaa
manifest inspect --insecure UPPER
manifest inspect --insecure 127.0.0.1:1/x
manifest inspect 127.0.0.1:1/x
manifest inspect --insecure H/list H/box:v2
manifest create H/list H/box:v2
manifest create --insecure H/list H/box:v2 H/other:v2
manifest create --insecure H/list H/box:v2
manifest create --insecure --amend H/list H/box@V
manifest inspect H/list
manifest inspect -v H/list
manifest inspect H/list H/box:v2
manifest inspect H/list H/nope
manifest annotate H/list H/box:v2 --arch foo
manifest annotate H/list H/box:v2 --arch arm64 --variant v8 --os-version 10 --os-features a,b --os-features b
manifest annotate H/list H/nope --arch arm64
manifest annotate H/nolist H/box:v2 --arch arm64
manifest annotate UPPER H/box:v2 --arch arm64
manifest annotate H/list UPPER --arch arm64
manifest inspect H/list
manifest push H/list
manifest push --insecure H/list
manifest push --insecure -p H/list
manifest inspect --insecure H/list
manifest inspect --insecure -v H/list
manifest push H/list
manifest create --insecure H/list2 H/list
manifest create --insecure other.example/list H/box:v2
manifest push other.example/list
manifest inspect other.example/list
manifest rm H/list UPPER other.example/list
manifest rm other.example/list
manifest create --insecure H/box:list H/box:v2
manifest push --insecure H/box:list
manifest inspect --insecure H/box:list
manifest rm H/box:list";

/// What both were told, and which files they left.
fn play(context: &Context, program: &str, replace: impl Fn(&str) -> String) -> Vec<String> {
    let config = context.directory().join(program);
    fs::create_dir_all(&config).expect("create the configuration's directory");
    let mut told = Vec::new();
    for line in SCRIPT.lines() {
        let words: Vec<String> = line.split(' ').map(&replace).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = match program {
            "docker" => context.docker_command(&words),
            _ => context.corten_command(&words),
        };
        let output = command::run(command.env("DOCKER_CONFIG", &config));
        told.push(format!(
            "$ {line}\n{}{}[{}]",
            output.stdout, output.stderr, output.code
        ));
        told.push(files(&config.join("manifests")));
    }
    told
}

fn files(directory: &Path) -> String {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            lines.push(format!("{name}/\n{}", files(&entry.path())));
        } else {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            lines.push(format!("{name}: {text}"));
        }
    }
    lines.sort();
    lines.join("\n")
}

#[test]
fn lists_are_made_kept_and_pushed_as_docker_does() {
    let registry = Real::start();
    let context = Context::busybox();
    let mut digest = String::new();
    for name in ["other:v2", "box:v2"] {
        let name = format!("{}/{name}", registry.host());
        context.corten(&["tag", "busybox", &name]).ok();
        let pushed = context.corten(&["push", &name]);
        let (_, rest) = pushed.ok().rsplit_once("digest: ").expect("a digest");
        digest = rest.split(' ').next().unwrap_or_default().to_owned();
    }
    let replace = |word: &str| match word {
        "V" => digest.clone(),
        word => word
            .replace("H/", &format!("{}/", registry.host()))
            .replace("@V", &format!("@{digest}")),
    };
    let ours = play(&context, "corten", replace);
    let pushed = ours
        .iter()
        .find(|told| told.starts_with("$ manifest push --insecure H/list"))
        .expect("it is in the script");
    assert!(
        pushed.contains("Pushed ref") && pushed.ends_with("[0]"),
        "{pushed}"
    );
    if fixtures::docker().is_some() {
        let theirs = play(&context, "docker", replace);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn a_password_is_taken_from_the_clients_configuration() {
    let registry = Real::with_password();
    let context = Context::busybox();
    let (host, user) = (registry.host(), testkit::registry::USER);
    let image = format!("{host}/box:v1");
    let list = format!("{host}/box:list");
    assert!(
        context
            .corten(&["manifest", "inspect", "--insecure", &image])
            .fails(1)
            .contains("no basic auth credentials")
    );
    let password = testkit::registry::PASSWORD;
    context
        .corten_with(
            &["login", "-u", user, "--password-stdin", host],
            password.as_bytes(),
        )
        .ok();
    context.corten(&["tag", "busybox", &image]).ok();
    context.corten(&["push", "-q", &image]).ok();
    context
        .corten(&["manifest", "create", "--insecure", &list, &image])
        .ok();
    context
        .corten(&["manifest", "push", "--insecure", &list])
        .ok();
    let shown = context.corten(&["manifest", "inspect", "--insecure", &list]);
    assert!(
        shown.ok().contains("\"architecture\": \"amd64\"") || cfg!(not(target_arch = "x86_64"))
    );
    context.corten(&["pull", "-q", &list]).ok();
}
