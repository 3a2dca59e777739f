//! One table of commands, three ways: docker to dockerd is recorded, docker and `corten` to Corten must answer the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use testkit::table::{self, Group, Row};
use testkit::{Context, command};

/// Commands whose answers differ on purpose, with the reason.
const EXCEPTIONS: &str = include_str!("../testdata/exceptions.txt");

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Replays a group with both command lines and reports every difference at once.
fn check(name: &str) {
    let groups =
        table::parse(&std::fs::read_to_string(testdata().join("commands.txt")).expect("the table"));
    let group = groups
        .iter()
        .find(|group| group.name == name)
        .expect("the group");
    let recorded = table::read(&testdata().join(format!("docker-28.5/{name}.json")))
        .expect("the recorded answers");
    assert_eq!(
        group.commands.len(),
        recorded.len(),
        "the table has changed: run cargo xtask record"
    );
    let mut differences = Vec::new();
    for client in ["docker", "corten"] {
        differences.extend(replay(group, &recorded, client));
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn replay(group: &Group, recorded: &[Row], client: &str) -> Vec<String> {
    let context = Context::busybox();
    let found = table::replay(group, |arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if client == "docker" {
            return command::run(&mut context.docker_command(&arguments));
        }
        let mut output = command::run(&mut context.corten_command(&arguments));
        // Each command line calls itself by its own name.
        output.stderr = output.stderr.replace("corten", "docker");
        output
    });
    let exceptions = exceptions();
    recorded
        .iter()
        .zip(&found)
        .filter(|(recorded, found)| {
            comparable(recorded) != comparable(found)
                && !exceptions.contains_key(recorded.command.as_str())
        })
        .map(|(recorded, found)| describe(client, recorded, found))
        .collect()
}

/// Docker prints the names of one image in the order of a Go map, which is none: lists of images are compared as sets.
fn comparable(row: &Row) -> Row {
    let mut row = row.clone();
    if row.command.starts_with("images") || row.command.starts_with("image ls") {
        let mut lines: Vec<&str> = row.stdout.split_inclusive('\n').collect();
        lines.sort_unstable();
        row.stdout = lines.concat();
    }
    row
}

/// `command<TAB>reason` lines.
fn exceptions() -> BTreeMap<&'static str, &'static str> {
    EXCEPTIONS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect()
}

fn describe(client: &str, recorded: &Row, found: &Row) -> String {
    let mut text = format!("{client} {}", recorded.command);
    if recorded.code != found.code {
        text.push_str(&format!(
            "\n    code {} dockerd {}",
            found.code, recorded.code
        ));
    }
    for (what, found, recorded) in [
        ("stdout", &found.stdout, &recorded.stdout),
        ("stderr", &found.stderr, &recorded.stderr),
    ] {
        if found != recorded {
            text.push_str(&format!(
                "\n    {what}  {found:?}\n    dockerd {recorded:?}"
            ));
        }
    }
    text
}

#[test]
fn exceptions_are_of_the_table() {
    let text = std::fs::read_to_string(testdata().join("commands.txt")).expect("the table");
    for (command, reason) in exceptions() {
        assert!(text.lines().any(|line| line == command), "{command}");
        assert!(reason.len() > 10, "{command}: {reason}");
    }
}

macro_rules! groups {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )*};
}

groups! { run lifecycle logs attach images load refused names formats prune platforms filters }
