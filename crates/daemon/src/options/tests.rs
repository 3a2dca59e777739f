//! dockerd's flags, as its users write them.

use std::path::PathBuf;
use std::time::Duration;

use super::{Command, Options, help, parse};

fn run(args: &[&str]) -> Result<Options, String> {
    let mut words: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
    if !args.iter().any(|word| word.starts_with("--config-file")) {
        words.insert(0, "--config-file=/dev/null".to_owned());
    }
    match parse("dockerd", &words)? {
        Command::Run(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_are_read_in_all_their_spellings() {
    let options = run(&[
        "-DH",
        "unix:///a",
        "--host=unix:///b",
        "-Htcp://c:1",
        "--data-root",
        "/d",
        "--exec-root=/e",
        "-p/f",
    ]);
    let options = options.unwrap();
    assert_eq!(options.hosts, ["unix:///a", "unix:///b", "tcp://c:1"]);
    assert!(options.debug);
    assert_eq!(
        (options.data_root, options.pidfile),
        (PathBuf::from("/d"), PathBuf::from("/f"))
    );
    let options = run(&[
        "--exec-root=/e",
        "--idle-exit",
        "60",
        "--debug=false",
        "--mtu",
        "0",
    ])
    .unwrap();
    assert_eq!(
        (options.hosts, options.debug),
        (vec!["unix:///e/corten.sock".to_owned()], false)
    );
    assert_eq!(
        (options.idle_exit, options.mtu),
        (Some(Duration::from_mins(1)), None)
    );
}

#[test]
fn what_is_wrong_is_named() {
    let check = |args: &[&str], text: &str| assert_eq!(run(args).unwrap_err(), text, "{args:?}");
    check(&["--x"], "unknown flag: --x\nSee 'dockerd --help'.");
    check(
        &["-x"],
        "unknown shorthand flag: 'x' in -x\nSee 'dockerd --help'.",
    );
    check(
        &["--tlsverify"],
        "flag --tlsverify is not implemented\nSee 'dockerd --help'.",
    );
    check(
        &["--data-root"],
        "flag needs an argument: --data-root\nSee 'dockerd --help'.",
    );
    check(&["-l", "loud"], "invalid log level: loud");
    assert!(run(&["--data-root", "relative"]).is_err());
    assert!(run(&["--debug=maybe"]).is_err());
}

#[test]
fn a_file_gives_what_flags_do_not_and_conflicts_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daemon.json");
    let flag = format!("--config-file={}", path.display());
    let with = |text: &str, args: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "a test's fixture")]
        std::fs::write(&path, text).unwrap();
        run(&[&[flag.as_str()], args].concat())
    };
    let options = with(
        r#"{"hosts":["unix:///x"],"debug":true,"data-root":"/d","mtu":1400}"#,
        &[],
    )
    .unwrap();
    assert_eq!(
        (options.hosts, options.debug, options.mtu),
        (vec!["unix:///x".to_owned()], true, Some(1400))
    );
    let prefix = format!(
        "unable to configure the Docker daemon with file {}: ",
        path.display()
    );
    let check = |text: &str, args: &[&str], why: &str| {
        assert_eq!(with(text, args).unwrap_err(), format!("{prefix}{why}"));
    };
    check(
        r#"{"debug":true}"#,
        &["-D"],
        "the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from \
         file: true)",
    );
    check(
        r#"{"wings":1}"#,
        &[],
        "the following directives don't match any configuration option: wings",
    );
    check(r#"{"ipv6":true}"#, &[], "directive ipv6 is not implemented");
    assert!(with("{", &[]).is_err());
}

#[test]
fn help_lists_what_is_built() {
    let text = help("dockerd");
    assert!(
        text.contains("--data-root string") && !text.contains("--ipv6"),
        "{text}"
    );
}
