//! What goes through published ports.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use netd::protocol::{Port, Protocol, Reply, Request, VERSION};
use sys::inet;

use crate::Netd;

/// Publishes a port that leads to `target`; gives the address of the host's side.
fn publish(netd: &Netd, protocol: Protocol, host: &str, target: SocketAddr) -> SocketAddr {
    let host = host.parse().unwrap();
    let socket = match protocol {
        Protocol::Udp => inet::bind_udp(host),
        _ => inet::listen_tcp(host),
    }
    .unwrap();
    let address = inet::local_address(socket.as_fd()).unwrap();
    let request = Request::Publish {
        container: "c".to_owned(),
        ports: vec![Port { protocol, target }],
    };
    netd.done(&request, &[socket]);
    address
}

pub(crate) fn relays_connections_each_way_alone() {
    const SIZE: usize = 5_000_000;
    let netd = Netd::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = publish(
        &netd,
        Protocol::Tcp,
        "[::1]:0",
        listener.local_addr().unwrap(),
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        // The client has ended its direction, and still gets all of this one.
        stream.write_all(&all).unwrap();
        all.len()
    });
    let mut client = TcpStream::connect(address).unwrap();
    let sent: Vec<u8> = (0..SIZE)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert_eq!(server.join().unwrap(), SIZE);
    assert!(back == sent, "{} of {SIZE} bytes", back.len());
}

/// Connections through a port, each with its server's end.
fn connected(netd: &Netd, count: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let address = publish(netd, Protocol::Tcp, "[::1]:0", target);
    let connect = |_| {
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        for stream in [&client, &server] {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
        }
        (client, server)
    };
    (0..count).map(connect).collect()
}

/// Sends something there and back.
fn echo((client, server): &mut (TcpStream, TcpStream)) {
    let mut buffer = [0; 4];
    client.write_all(b"ping").unwrap();
    server.read_exact(&mut buffer).unwrap();
    server.write_all(&buffer).unwrap();
    client.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"ping");
}

fn pid(netd: &Netd) -> u32 {
    let greeting = Request::Hello { version: VERSION };
    match netd.client().call(&greeting, &[]).unwrap() {
        Reply::Hello { pid, .. } => pid,
        other => panic!("a greeting is answered with one: {other:?}"),
    }
}

fn descriptors(pid: u32) -> usize {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd"));
    listed.unwrap().count()
}

pub(crate) fn connections_wait_while_descriptors_are_short() {
    let netd = Netd::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let address = publish(&netd, Protocol::Tcp, "[::1]:0", target);
    let accept = || {
        let (server, _) = listener.accept().unwrap();
        server
    };
    let mut first = (TcpStream::connect(address).unwrap(), accept());
    echo(&mut first);
    // Room for one more.
    let pid = pid(&netd);
    let limit = descriptors(pid) + 2;
    let limited = Command::new("prlimit")
        .arg(format!("--pid={pid}"))
        .arg(format!("--nofile={limit}"))
        .status();
    assert!(limited.unwrap().success());
    let mut second = (TcpStream::connect(address).unwrap(), accept());
    echo(&mut second);
    let third = TcpStream::connect(address).unwrap();
    echo(&mut first);
    drop((first, second));
    let mut third = (third, accept());
    echo(&mut third);
}

pub(crate) fn an_idle_connection_has_its_two_sockets_alone() {
    const COUNT: usize = 400;
    const MOST_KIB: usize = 10 * 1024;
    let netd = Netd::start();
    let pid = pid(&netd);
    let before = descriptors(pid);
    let mut connections = connected(&netd, COUNT);
    connections.iter_mut().for_each(echo);
    let more = descriptors(pid) - before;
    // Beside the listener, and few pipes for all of them.
    assert!((2 * COUNT..2 * COUNT + 24).contains(&more), "{more}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| {
        let value = line.strip_prefix("RssAnon:")?;
        value.trim().trim_end_matches(" kB").parse::<usize>().ok()
    });
    assert!(resident.unwrap() < MOST_KIB, "{resident:?}");
}

pub(crate) fn a_flood_leaves_others_their_turn() {
    let netd = Netd::start();
    let mut two = connected(&netd, 1);
    let (mut from, mut to) = connected(&netd, 1).remove(0);
    let flood = std::thread::spawn(move || while from.write_all(&[b'x'; 1 << 13]).is_ok() {});
    let drain = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 17];
        let mut left: usize = 1 << 30;
        while let Some(less) = left.checked_sub(to.read(&mut buffer).unwrap()) {
            left = less;
        }
    });
    while !drain.is_finished() {
        echo(&mut two[0]);
    }
    drain.join().unwrap();
    flood.join().unwrap();
}

pub(crate) fn relays_datagrams_to_each_client() {
    let netd = Netd::start();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let address = publish(
        &netd,
        Protocol::Udp,
        "0.0.0.0:0",
        server.local_addr().unwrap(),
    );
    let client = |host: &str| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect((host, address.port())).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    };
    // Each is answered from the address that it asked.
    let (one, two) = (client("127.0.0.1"), client("127.0.0.2"));
    one.send(b"1").unwrap();
    two.send(b"2").unwrap();
    let mut buffer = [0; 8];
    for _ in 0..2 {
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
    }
    for (socket, expected) in [(one, b"1"), (two, b"2")] {
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], expected);
    }
}

pub(crate) fn resets_connections_of_a_container_that_ended() {
    let netd = Netd::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = publish(
        &netd,
        Protocol::Tcp,
        "127.0.0.1:0",
        listener.local_addr().unwrap(),
    );
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"x").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0]).unwrap();
    netd.done(
        &Request::Unpublish {
            container: "c".to_owned(),
        },
        &[],
    );
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(TcpListener::bind(address).is_ok(), "the port is free");
}
