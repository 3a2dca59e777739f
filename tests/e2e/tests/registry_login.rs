//! `login` and `logout`: credentials in the file and with a helper.

use std::fs;

use serde_json::Value;
use testkit::registry::{PASSWORD, Real, USER};
use testkit::{Context, command};

use crate::registry::clis;

#[test]
fn a_registry_with_a_password_is_logged_in_to() {
    let registry = Real::with_password();
    for cli in clis() {
        let context = Context::busybox();
        let host = registry.host();
        let name = format!("{host}/private/busybox:latest");
        cli(&context, &["tag", "busybox", &name]).ok();
        let refused = cli(&context, &["push", &name]);
        assert!(
            refused.fails(1).contains("no basic auth credentials"),
            "{refused:?}"
        );
        let wrong = cli(&context, &["login", "-u", USER, "-p", "wrong", host]);
        assert!(
            wrong.fails(1).contains("login attempt to http://")
                && wrong
                    .stderr
                    .contains("failed with status: 401 Unauthorized"),
            "{wrong:?}"
        );
        let login = cli(&context, &["login", "-u", USER, "-p", PASSWORD, host]);
        assert_eq!(login.ok(), "Login Succeeded");
        assert!(
            login.stderr.contains(
                "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
            ) && login
                .stderr
                .contains("WARNING! Your credentials are stored unencrypted in"),
            "{login:?}"
        );
        let config = context.directory().join("docker/config.json");
        let kept: Value =
            serde_json::from_slice(&fs::read(&config).expect("the configuration")).expect("JSON");
        assert_eq!(
            kept["auths"][host]["auth"].as_str(),
            Some("dGVzdC11c2VyOnRlc3QtcGFzc3dvcmQ=")
        );
        cli(&context, &["push", &name]).ok();
        cli(&context, &["rmi", &name]).ok();
        cli(&context, &["pull", &name]).ok();
        assert_eq!(
            cli(&context, &["logout", host]).ok(),
            format!("Removing login credentials for {host}")
        );
        let refused = cli(&context, &["pull", &name]);
        assert_ne!(refused.code, 0);
        let text = context.daemon_log();
        assert!(!text.contains(PASSWORD), "a secret in the log");
    }
}

#[test]
fn stored_credentials_that_are_not_taken_are_asked_for_anew() {
    let registry = Real::with_password();
    let host = registry.host();
    for cli in clis() {
        let context = Context::new();
        cli(&context, &["login", "-u", USER, "-p", PASSWORD, host]).ok();
        let said = format!(
            "Authenticating with existing credentials... [Username: {USER}]\n\n \
             Info -> To login with a different account, run 'docker logout' followed by 'docker login'\n\n\n"
        );
        let again = cli(&context, &["login", host]);
        assert_eq!(again.ok(), "Login Succeeded");
        assert!(again.stderr.starts_with(&said), "{again:?}");
        let config = context.directory().join("docker/config.json");
        // test-user:stale
        let auths = format!(r#"{{"auths": {{"{host}": {{"auth": "dGVzdC11c2VyOnN0YWxl"}}}}}}"#);
        fs::write(&config, auths).expect("write config");
        let stale = cli(&context, &["login", host]);
        stale.fails(1);
        assert_eq!(
            stale.stderr.trim_end(),
            format!(
                "{said}Stored credentials invalid or expired\n\
                 Error: Cannot perform an interactive login from a non TTY device"
            )
        );
    }
}

#[test]
fn helpers_keep_credentials() {
    use std::os::unix::fs::PermissionsExt as _;
    let registry = Real::with_password();
    let context = Context::busybox();
    let bin = context.directory().join("bin");
    fs::create_dir(&bin).expect("create bin");
    let kept = context.directory().join("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {kept};;\nget) cat {kept} 2>/dev/null || {{ echo 'credentials not found in native \
         keychain'; exit 1; }};;\nerase) rm -f {kept};;\nesac\n",
        kept = kept.display()
    );
    let helper = bin.join("docker-credential-test");
    fs::write(&helper, script).expect("write the helper");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("make it executable");
    let config = context.directory().join("docker/config.json");
    fs::write(&config, r#"{"credsStore": "test", "psFormat": "x"}"#).expect("write config");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let corten = |arguments: &[&str], stdin: &[u8]| {
        let mut command = context.corten_command(arguments);
        command::run_with(command.env("PATH", &path), stdin, command::LIMIT)
    };
    let host = registry.host();
    let login = corten(
        &["login", "-u", USER, "--password-stdin", host],
        format!("{PASSWORD}\n").as_bytes(),
    );
    assert_eq!(login.ok(), "Login Succeeded");
    assert!(login.stderr.is_empty(), "{login:?}");
    let text = fs::read_to_string(&config).expect("the configuration");
    assert!(
        !text.contains("auth\"") && text.contains("psFormat"),
        "{text}"
    );
    let name = format!("{host}/private/busybox");
    corten(&["tag", "busybox", &name], b"").ok();
    corten(&["push", &name], b"").ok();
    corten(&["logout", host], b"").ok();
    assert!(!kept.exists());
    assert_eq!(corten(&["push", &name], b"").code, 1);
}
