//! The daemon's settings for registries: flags and keys of its configuration file.

use std::fs;
use std::process::Command;

use testkit::registry::{Answer, PASSWORD, Real, Scripted, USER};
use testkit::{Context, Settings, command, fixtures};

/// A daemon with a configuration file.
fn configured(name: &str, text: &str) -> Context {
    let path = std::env::temp_dir().join(format!("corten-test-{name}-{}.json", std::process::id()));
    fs::write(&path, text).expect("write the configuration");
    let context = Context::with(Settings {
        arguments: vec!["--config-file".to_owned(), path.display().to_string()],
        ..Settings::default()
    });
    fs::remove_file(&path).expect("remove the configuration");
    context
}

#[test]
fn the_configuration_file_names_mirrors_and_insecure_registries() {
    let registry = Real::start();
    {
        let context = Context::busybox();
        let name = format!("{}/library/busybox", registry.host());
        context.corten(&["tag", "busybox", &name]).ok();
        context.corten(&["push", "-q", &name]).ok();
    }
    let text = format!(
        r#"{{"registry-mirrors": ["http://{}/"], "insecure-registries": ["10.99.0.0/16", "http://plain.example:5000"]}}"#,
        registry.host()
    );
    let context = configured("mirrors", &text);
    context.corten(&["pull", "-q", "busybox"]).ok();
    let info = |template: &str| {
        context
            .corten(&["info", "--format", template])
            .ok()
            .to_owned()
    };
    assert_eq!(
        info("{{json .RegistryConfig.Mirrors}}"),
        format!("[\"http://{}/\"]", registry.host())
    );
    assert!(info("{{json .RegistryConfig.InsecureRegistryCIDRs}}").contains("10.99.0.0/16"));
    assert!(info("{{json .RegistryConfig.IndexConfigs}}").contains("plain.example:5000"));
}

#[test]
fn settings_that_cannot_be_are_refused_in_dockers_words() {
    for (arguments, said) in [
        (
            ["--registry-mirror", "mirror.example:5000"],
            "invalid mirror: no scheme specified for \"mirror.example:5000\": must use either 'https://' or 'http://'",
        ),
        (
            ["--registry-mirror", "https://user:secret@mirror.example"],
            "invalid mirror: username/password not allowed in URI \"https://user:xxxxx@mirror.example\"",
        ),
        (
            ["--insecure-registry", "ftp://registry.example"],
            "insecure registry ftp://registry.example should not contain '://'",
        ),
        (
            ["--registry-token-server", "https://auth.example/token"],
            "token server https://auth.example/token is not valid",
        ),
    ] {
        let mut daemon = Command::new(fixtures::corten());
        let output = command::run(daemon.args(["daemon", "--validate"]).args(arguments));
        assert!(output.fails(1).contains(said), "{output:?}");
    }
}

#[test]
fn a_token_server_of_another_domain_is_asked_where_the_settings_name_it() {
    let tokens = Scripted::start(|request| {
        // test-user:test-password
        match request.header("authorization") {
            Some("Basic dGVzdC11c2VyOnRlc3QtcGFzc3dvcmQ=") => Answer::ok(r#"{"token":"good"}"#),
            _ => Answer::new(401),
        }
    });
    let realm = tokens.host().replace("127.0.0.1", "localhost");
    let registry = Scripted::start(move |request| match request.header("authorization") {
        Some("Bearer good") => Answer::ok("{}"),
        _ => Answer::challenge(&format!(
            "Bearer realm=\"http://{realm}/token\",service=\"s\""
        )),
    });
    let host = registry.host();
    let login = ["login", "-u", USER, "--password-stdin", &host];
    let context = Context::new();
    let refused = context.corten_with(&login, PASSWORD.as_bytes());
    assert!(
        refused
            .fails(1)
            .contains("it is of another domain, and would be sent the registry's credentials"),
        "{refused:?}"
    );
    assert!(tokens.requests().is_empty());
    drop(context);
    for context in [
        configured("tokens", r#"{"registry-token-servers": ["localhost"]}"#),
        Context::with(Settings {
            arguments: vec!["--registry-token-server".to_owned(), "localhost".to_owned()],
            ..Settings::default()
        }),
    ] {
        let taken = context.corten_with(&login, PASSWORD.as_bytes());
        assert_eq!(taken.ok(), "Login Succeeded");
    }
}
