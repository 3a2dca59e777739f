//! What users see when a program cannot be started, in Docker's words.

use std::fs;

use runtime::Stage;

use crate::Test;
use crate::bundle::{Bundle, strings};

pub(crate) const TESTS: &[Test] = &[
    ("failures::missing_program", missing_program),
    ("failures::not_executable", not_executable),
    ("failures::working_directory", working_directory),
    ("failures::missing_bind_source", missing_bind_source),
];

fn failure(args: &[&str]) -> (Stage, String) {
    let mut bundle = Bundle::new("");
    bundle.process().args = strings(args);
    fs::write(bundle.root().join("plain"), "x").unwrap();
    let failure = bundle.fail();
    (failure.stage, failure.message)
}

fn missing_program() {
    let expected = "exec: \"foo\": executable file not found in $PATH";
    assert_eq!(failure(&["foo"]), (Stage::NotFound, expected.to_owned()));
    let expected = "exec: \"/foo\": stat /foo: no such file or directory";
    assert_eq!(failure(&["/foo"]), (Stage::NotFound, expected.to_owned()));
}

fn not_executable() {
    assert_eq!(
        failure(&["/plain"]),
        (
            Stage::NotExecutable,
            "exec: \"/plain\": permission denied".to_owned()
        )
    );
    assert_eq!(
        failure(&["/etc"]),
        (
            Stage::NotExecutable,
            "exec: \"/etc\": is a directory: permission denied".to_owned()
        )
    );
    let mut bundle = Bundle::new("");
    let path = bundle.root().join("junk");
    fs::write(&path, [0_u8; 64]).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle.process().args = strings(&["/junk"]);
    let failure = bundle.fail();
    assert_eq!(
        (failure.stage, failure.message.as_str()),
        (Stage::NotExecutable, "exec /junk: exec format error")
    );
}

fn working_directory() {
    let mut bundle = Bundle::new("");
    "/etc/passwd".clone_into(&mut bundle.process().cwd);
    assert_eq!(bundle.fail().stage, Stage::WorkingDirectory);
}

fn missing_bind_source() {
    let mut bundle = Bundle::new("");
    bundle.spec.mounts.push(oci::runtime::Mount {
        destination: "/x".to_owned(),
        kind: "bind".to_owned(),
        source: "/does/not/exist".to_owned(),
        options: strings(&["rbind"]),
    });
    let failure = bundle.fail();
    assert_eq!(failure.stage, Stage::Setup);
    assert!(
        failure.message.contains("/does/not/exist"),
        "{}",
        failure.message
    );
}
