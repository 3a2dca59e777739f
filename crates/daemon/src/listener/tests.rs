//! Addresses, and who owns a socket's name.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Address, SocketGroup, bind_unix};

#[test]
fn addresses_are_read_as_dockerd_reads_them() {
    let parse = |text: &str| text.parse::<Address>();
    assert_eq!(
        parse("unix:///x/y.sock"),
        Ok(Address::Unix(PathBuf::from("/x/y.sock")))
    );
    assert_eq!(
        parse("tcp://0.0.0.0:9"),
        Ok(Address::Tcp("0.0.0.0:9".to_owned()))
    );
    assert_eq!(
        parse("tcp://:2376"),
        Ok(Address::Tcp("localhost:2376".to_owned()))
    );
    assert_eq!(parse("fd://"), Ok(Address::Fd));
    assert!(parse("/x/y.sock").is_err());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sub/d.sock");
    let group = SocketGroup {
        name: "no-such-group".into(),
        required: false,
    };
    let first = bind_unix(&path, &group).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    assert!(bind_unix(&path, &group).is_err());
    // Somebody holds it for a moment longer.
    std::thread::spawn(move || {
        std::thread::sleep(super::PATIENCE / 5);
        drop(first);
    });
    let second = bind_unix(&path, &group).unwrap();
    second.unlink();
    assert!(!path.exists());
    assert!(
        bind_unix(
            &path,
            &SocketGroup {
                required: true,
                ..group
            }
        )
        .is_err()
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "what listens shall not be this process"
)]
#[tokio::test]
async fn a_socket_that_a_dead_daemon_s_child_holds_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.sock");
    // It listens and ends; its child lets go later than a living daemon would be waited for.
    let script = "use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die; \
                  listen($s, 128) or die; if (fork == 0) { sleep 2; }";
    let status = std::process::Command::new("perl")
        .args(["-e", script])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let group = SocketGroup {
        name: "no-such-group".into(),
        required: false,
    };
    let begun = std::time::Instant::now();
    bind_unix(&path, &group).unwrap().unlink();
    assert!(begun.elapsed() > super::PATIENCE, "nobody held it");
}
