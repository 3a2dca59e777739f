//! Streams between a process that is this test and clients that are this test too.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;

struct Process {
    streams: Streams,
    stdin: Option<File>,
    stdout: Option<File>,
}

fn process(stdin_once: bool) -> Process {
    let stdio = Stdio {
        open_stdin: true,
        stdin_once,
        ..Stdio::default()
    };
    let Pipes {
        streams,
        ends: [stdin, stdout, stderr],
    } = pipes(&stdio, true).expect("pipes");
    drop(stderr);
    Process {
        streams,
        stdin: Some(stdin.into()),
        stdout: Some(stdout.into()),
    }
}

fn attach(streams: &mut Streams, stdin: bool) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let attach = Attach {
        stdin,
        stdout: true,
        stderr: true,
        ..Attach::default()
    };
    streams.attach(ours.into(), &attach, b"\x10\x11");
    theirs.set_nonblocking(true).expect("sets");
    theirs
}

/// Serves until nothing happens any more.
fn settle(streams: &mut Streams) {
    let mut poll = Poll::new();
    let mut buffer = vec![0; BUFFER];
    for round in 0.. {
        assert!(round < 10_000, "never settles");
        poll.clear();
        streams.poll(&mut poll, false);
        if poll.wait(Some(Duration::from_millis(5))).expect("waits") == 0 {
            return;
        }
        streams.serve(&poll, &mut buffer, &mut None, false);
    }
}

#[test]
fn a_slow_client_makes_the_process_wait_and_loses_nothing() {
    let mut process = process(false);
    let mut client = attach(&mut process.streams, false);
    let mut stdout = process.stdout.take().expect("stdout");
    sys::poll::set_nonblocking(stdout.as_fd(), true).expect("sets");
    let (mut written, mut read) = (Vec::new(), Vec::new());
    for number in 0_u32.. {
        let piece = number.to_be_bytes().repeat(256);
        match stdout.write(&piece) {
            Ok(count) => written.extend_from_slice(&piece[..count]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        let before = written.len();
        if number % 16 == 0 {
            settle(&mut process.streams);
        }
        if before > 0 && stdout.write(&[]).is_ok() && number > 4000 {
            break;
        }
    }
    // All buffers are full: two pipes' worth, a socket's, and the backlog.
    assert!(written.len() < 1_000_000, "{}", written.len());
    drop(stdout);
    let mut buffer = vec![0; 30_000];
    loop {
        settle(&mut process.streams);
        match client.read(&mut buffer) {
            Ok(count @ 1..) => read.extend_from_slice(&buffer[..count]),
            _ if process.streams.has_ended() => break,
            _ => {}
        }
    }
    let mut plain = Vec::new();
    let mut rest = read.as_slice();
    while let Some((header, after)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        assert_eq!(header[0], 1);
        plain.extend_from_slice(&after[..length]);
        rest = &after[length..];
    }
    assert!(plain == written);
}

#[test]
fn input_waits_for_the_process_and_ends_with_its_client() {
    let mut process = process(true);
    let mut client = attach(&mut process.streams, true);
    let input: Vec<u8> = (0..500_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut rest = input.as_slice();
    let mut stdin = process.stdin.take().expect("stdin");
    sys::poll::set_nonblocking(stdin.as_fd(), true).expect("sets");
    let (mut taken, mut buffer) = (Vec::new(), vec![0; 100_000]);
    loop {
        if let Ok(count) = client.write(rest) {
            rest = &rest[count..];
            if rest.is_empty() {
                client.shutdown(std::net::Shutdown::Write).ok();
            }
        }
        settle(&mut process.streams);
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => taken.extend_from_slice(&buffer[..count]),
            Err(_) => {}
        }
    }
    assert!(taken == input);
    // The client still gets output.
    process
        .stdout
        .as_ref()
        .expect("stdout")
        .write_all(b"bye")
        .expect("writes");
    settle(&mut process.streams);
    assert_eq!(client.read(&mut buffer).expect("reads"), 11);
}

#[test]
fn a_client_that_dies_with_unread_input_costs_nothing() {
    let mut process = process(true);
    let mut client = attach(&mut process.streams, true);
    while client.write(&[b'x'; 4096]).is_ok() {
        settle(&mut process.streams);
    }
    drop(client);
    settle(&mut process.streams);
    let mut stdin = process.stdin.take().expect("stdin");
    sys::poll::set_nonblocking(stdin.as_fd(), true).expect("sets");
    let mut buffer = vec![0; 100_000];
    let mut total = 0;
    loop {
        settle(&mut process.streams);
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => total += count,
            Err(_) => {}
        }
    }
    assert!(total > 64 * 1024);
    settle(&mut process.streams);
    assert!(!process.streams.has_clients());
}

#[test]
fn without_stdin_once_the_end_of_input_is_the_end_of_the_client() {
    let mut process = process(false);
    let mut client = attach(&mut process.streams, true);
    client.write_all(b"hello").expect("writes");
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("shuts down");
    settle(&mut process.streams);
    let mut buffer = [0; 10];
    assert_eq!(
        process
            .stdin
            .as_ref()
            .expect("stdin")
            .read(&mut buffer)
            .expect("reads"),
        5
    );
    assert_eq!(client.read(&mut buffer).expect("reads the end"), 0);
    let mut second = attach(&mut process.streams, true);
    second.write_all(b"again").expect("writes");
    settle(&mut process.streams);
    assert_eq!(
        process
            .stdin
            .as_ref()
            .expect("stdin")
            .read(&mut buffer)
            .expect("reads"),
        5
    );
}

#[test]
fn detach_keys_leave_a_terminal() {
    let pty = sys::pty::open().expect("a terminal");
    let stdio = Stdio {
        tty: true,
        open_stdin: true,
        console_size: Some((5, 50)),
        ..Stdio::default()
    };
    let mut streams = Streams::terminal(&stdio, pty.master).expect("streams");
    let mut slave = File::from(pty.slave);
    assert_eq!(
        sys::tty::size(slave.as_fd()).expect("size"),
        sys::tty::Size {
            rows: 5,
            columns: 50
        }
    );
    let mut client = attach(&mut streams, true);
    client.write_all(b"typed\n\x10").expect("writes");
    settle(&mut streams);
    let mut buffer = [0; 100];
    assert_eq!(slave.read(&mut buffer).expect("reads"), 6);
    slave.write_all(b"raw\n").expect("writes");
    settle(&mut streams);
    let count = client.read(&mut buffer).expect("reads");
    assert_eq!(&buffer[..count], b"typed\r\nraw\r\n");
    client.write_all(b"\x11").expect("writes");
    settle(&mut streams);
    assert_eq!(client.read(&mut buffer).expect("reads the end"), 0);
    assert!(!streams.has_clients() && !streams.has_ended());
    drop(slave);
    settle(&mut streams);
    assert!(streams.is_hung_up());
}
