//! Instructions become configurations.

use super::*;

fn config(instructions: &[&str]) -> ContainerConfig {
    let mut config = ContainerConfig::default();
    ImageConfigChanges::parse(instructions)
        .unwrap()
        .apply(&mut config);
    config
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn every_instruction_is_understood() {
    let config = config(&[
        r#"CMD ["a", "b c"]"#,
        "entrypoint run me",
        "ENV A=1 B=\"two words\" C=x\\ y",
        "ENV D one value with blanks",
        "ENV A=2",
        "EXPOSE 80 53/UDP 8000-8002",
        "LABEL k=v \"quoted key\"='quoted value'",
        "USER 1000:1000",
        "VOLUME /a /b",
        r#"VOLUME ["/c d"]"#,
        "WORKDIR srv",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN make all",
        "HEALTHCHECK --interval=5s --retries=2 CMD curl -f localhost",
    ]);
    assert_eq!(config.cmd, Some(strings(&["a", "b c"])));
    assert_eq!(
        config.entrypoint,
        Some(strings(&["/bin/sh", "-c", "run me"]))
    );
    assert_eq!(
        config.env,
        strings(&["B=two words", "C=x y", "D=one value with blanks", "A=2"])
    );
    assert_eq!(
        config.exposed_ports.into_keys().collect::<Vec<_>>(),
        ["53/udp", "80/tcp", "8000-8002/tcp"]
    );
    assert_eq!(config.labels.into_iter().collect::<Vec<_>>().len(), 2);
    assert_eq!(
        (config.user.as_str(), config.working_dir.as_str()),
        ("1000:1000", "/srv")
    );
    assert_eq!(
        config.volumes.into_keys().collect::<Vec<_>>(),
        ["/a", "/b", "/c d"]
    );
    assert_eq!(
        (config.stop_signal.as_str(), config.on_build),
        ("SIGINT", strings(&["RUN make all"]))
    );
    let check = config.healthcheck.unwrap();
    assert_eq!(check.test, strings(&["CMD-SHELL", "curl -f localhost"]));
    assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
}

#[test]
fn nothing_given_changes_nothing() {
    assert_eq!(config(&[]), ContainerConfig::default());
    assert_eq!(
        config(&["HEALTHCHECK NONE"]).healthcheck.unwrap().test,
        ["NONE"]
    );
}

#[test]
fn what_is_no_change_is_refused() {
    for (text, error) in [
        ("RUN x", "run is not a valid change command"),
        ("", " is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        (
            "ENV A=1 B",
            "Syntax error - can't find = in \"B\". Must be of the form: name=value",
        ),
        ("ENV =x", "ENV names can not be blank"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 1-70000", "invalid containerPort: 1-70000"),
        ("EXPOSE 80/xyz", "invalid containerPort: 80/xyz"),
        ("USER", "USER requires exactly one argument"),
        ("HEALTHCHECK --x=1 CMD y", "Unknown flag: x"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        (
            "HEALTHCHECK --retries=x CMD y",
            "invalid value \"x\" of --retries",
        ),
    ] {
        assert_eq!(
            ImageConfigChanges::parse(&[text]).unwrap_err().to_string(),
            error,
            "{text}"
        );
    }
}
