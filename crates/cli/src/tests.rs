//! Help and refusals, compared with what the docker command line 28.2 printed (recorded in `testdata`).

use super::*;

fn session() -> Session {
    Session::new("docker", env())
}

fn env() -> Env {
    let variables = [
        ("HOME", "/root"),
        ("DOCKER_HOST", "unix:///nonexistent/d.sock"),
    ];
    Env {
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        directory: "/".into(),
        ..Env::default()
    }
}

/// The entries of a recording: the line after `@@`, and the text up to the next.
fn recorded(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("@@ ")
        .skip(1)
        .filter_map(|entry| entry.split_once('\n'))
}

#[test]
fn help_is_laid_out_as_dockers() {
    let session = session();
    let mut count = 0;
    for (path, expect) in recorded(include_str!("../testdata/help.txt")) {
        let command = surface::find(path).unwrap_or_else(|| panic!("no command {path:?}"));
        assert_eq!(help::render(&command, &session.style()), expect, "{path}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn help_wraps_at_the_terminals_width_and_names_the_program() {
    let session = Session::new(
        "corten",
        Env {
            columns: Some(200),
            ..env()
        },
    );
    let text = help::render(&surface::find("run").unwrap(), &session.style());
    assert!(text.starts_with("Usage:  corten run [OPTIONS] IMAGE [COMMAND] [ARG...]\n"));
    assert!(text.contains("  corten container run, corten run\n"));
    assert!(text.contains("  -d, --detach                           Run container in background and print container ID\n"));
}

#[test]
fn refusals_are_dockers() {
    let mut count = 0;
    for (line, expect) in recorded(include_str!("../testdata/errors.txt")) {
        let (code, words) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let failure = run("docker", &words, env()).expect_err(line);
        assert_eq!(
            (failure.text.trim_end(), failure.code.to_string().as_str()),
            (expect.trim_end(), code),
            "{line}"
        );
        count += 1;
    }
    assert!(count > 80, "{count}");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (words, expect) in [
        (
            "swarm init",
            "corten: 'corten swarm init' is not implemented yet",
        ),
        (
            "run --use-api-socket busybox",
            "corten: flag --use-api-socket of 'corten run' is not implemented yet",
        ),
        (
            "pull --disable-content-trust=false x",
            "corten: flag --disable-content-trust of 'corten pull' is not implemented yet",
        ),
        ("--tls ps", "corten: flag --tls is not implemented yet"),
    ] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let failure = run("corten", &words, env()).unwrap_err();
        assert_eq!((failure.text.as_str(), failure.code), (expect, 1));
    }
}

#[test]
fn aliases_lead_to_their_commands() {
    for (alias, path) in [
        ("container ps", "container ls"),
        ("container list", "container ls"),
        ("image list", "image ls"),
        ("image remove", "image rm"),
        ("network list", "network ls"),
        ("container remove", "container rm"),
    ] {
        assert_eq!(
            surface::find(alias).map(|command| command.path).as_deref(),
            Some(path),
            "{alias}"
        );
    }
}

#[test]
fn the_host_is_chosen_in_order() {
    let choose = |globals: &[&str], variables: &[(&str, &str)]| {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut session = Session::new(
            "corten",
            Env {
                variables,
                ..Env::default()
            },
        );
        let words: Vec<String> = globals.iter().map(|word| (*word).to_owned()).collect();
        session.globals = flags::parse(&surface::find("").unwrap(), &words).unwrap();
        session
            .host()
            .map(|choice| (choice.host, choice.named))
            .map_err(|failure| failure.text)
    };
    let both = [
        ("DOCKER_HOST", "unix:///d"),
        ("CORTEN_HOST", "unix:///c"),
        ("HOME", "/nonexistent"),
    ];
    let named = |host: &str| Ok((host.to_owned(), true));
    assert_eq!(choose(&["-H", "unix:///f"], &both), named("unix:///f"));
    assert_eq!(choose(&[], &both), named("unix:///c"));
    assert_eq!(choose(&[], &both[..1]), named("unix:///d"));
    assert_eq!(
        choose(&["--context", "default"], &both),
        named("unix:///run/corten/corten.sock")
    );
    assert_eq!(
        choose(&[], &both[2..]),
        Ok(("unix:///run/corten/corten.sock".to_owned(), false))
    );
    assert_eq!(
        choose(&["-H", "a", "-H", "b"], &[]),
        Err("specify only one -H".to_owned())
    );
    let conflict = "conflicting options: cannot specify both --host and --context";
    assert_eq!(
        choose(&["-H", "a", "-c", "b"], &[]),
        Err(conflict.to_owned())
    );
}

#[test]
fn flags_parse_as_in_pflag() {
    type Expected<'a> = Result<(&'a [(&'a str, &'a str)], &'a [&'a str]), &'a str>;
    let check = |words: &[&str], expect: Expected<'_>| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match (flags::parse(&surface::find("run").unwrap(), &words), expect) {
            (Ok(given), Ok((flags, args))) => {
                for (name, value) in flags {
                    assert_eq!(
                        given.list(name).last().map(String::as_str),
                        Some(*value),
                        "{words:?} {name}"
                    );
                }
                assert_eq!(given.args, args, "{words:?}");
            }
            (Err(Stop::Wrong(reason)), Err(expect)) => assert_eq!(reason, expect, "{words:?}"),
            (got, _) => panic!("{words:?}: {got:?}"),
        }
    };
    check(&["--name=x", "i"], Ok((&[("name", "x")], &["i"])));
    check(
        &["--name", "x", "i", "--rm", "-x"],
        Ok((&[("name", "x")], &["i", "--rm", "-x"])),
    );
    check(
        &["-itd", "i"],
        Ok((
            &[("interactive", "true"), ("tty", "true"), ("detach", "true")],
            &["i"],
        )),
    );
    check(
        &["-eA=1", "-e", "B", "-e=C=2", "i"],
        Ok((&[("env", "C=2")], &["i"])),
    );
    check(
        &["-it=false", "i"],
        Ok((&[("interactive", "true"), ("tty", "false")], &["i"])),
    );
    check(&["--rm=false", "i"], Ok((&[("rm", "false")], &["i"])));
    check(&["--", "--rm", "x"], Ok((&[], &["--rm", "x"])));
    check(&["-"], Ok((&[], &["-"])));
    check(
        &["--net", "host", "i"],
        Ok((&[("network", "host")], &["i"])),
    );
    check(
        &["--cpus", "1/3", "i"],
        Err("invalid argument \"1/3\" for \"--cpus\" flag: value is too precise"),
    );
    check(&["---x"], Err("bad flag syntax: ---x"));
    check(&["-itZ"], Err("unknown shorthand flag: 'Z' in -Z"));
    check(
        &["--device-cgroup-rule", "x", "i"],
        Err(
            "invalid argument \"x\" for \"--device-cgroup-rule\" flag: invalid device cgroup format 'x'",
        ),
    );
}
