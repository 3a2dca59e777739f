//! Packets keep their borders and carry descriptors.

use super::*;
use std::io::{Read, Write};

#[test]
fn packets_keep_their_borders() {
    let (a, b) = SeqPacket::pair().expect("a pair");
    a.send(b"one", &[]).expect("sends");
    a.send(&vec![7; 150_000], &[]).expect("sends");
    let mut buffer = Vec::new();
    assert_eq!(b.recv(&mut buffer).expect("receives").0, 3);
    assert_eq!(buffer, b"one");
    assert!(has_unread(a.as_fd()));
    assert_eq!(b.recv(&mut buffer).expect("receives").0, 150_000);
    assert!(!has_unread(a.as_fd()));
    assert_eq!(buffer, vec![7; 150_000]);
    drop(a);
    assert_eq!(b.recv(&mut buffer).expect("receives").0, 0);
}

#[test]
fn descriptors_ride_along() {
    let (a, b) = SeqPacket::pair().expect("a pair");
    let (mut reader, writer) = io::pipe().expect("a pipe");
    a.send(b"x", &[writer.as_fd(), writer.as_fd()])
        .expect("sends");
    drop(writer);
    let (_, fds) = b.recv(&mut Vec::new()).expect("receives");
    assert_eq!(fds.len(), 2);
    for fd in fds {
        std::fs::File::from(fd).write_all(b"hi").expect("writes");
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("reads");
    assert_eq!(text, "hihi");
}

#[test]
fn listens_privately_even_below_a_long_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let long = directory.path().join("d".repeat(120));
    std::fs::create_dir(&long).expect("creates");
    for path in [directory.path().join("s"), long.join("s")] {
        let listener = SeqPacket::listen(&path).expect("listens");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).expect("exists").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let client = SeqPacket::connect(&path).expect("connects");
        let server = listener.accept().expect("accepts");
        assert_eq!(
            server.peer().expect("peer").pid,
            std::process::id().cast_signed()
        );
        server.set_nonblocking(true).expect("sets");
        let error = server.recv(&mut Vec::new()).expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        client.send(b"hello", &[]).expect("sends");
        assert_eq!(server.recv(&mut Vec::new()).expect("receives").0, 5);
    }
}
