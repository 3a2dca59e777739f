//! Questions by datagram and by connection. Resolvers need port 53: they stand on loopback addresses of this test's own.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use netd::protocol::{Member, Reply, Request, View};
use sys::{inet, netns};

use crate::Netd;

const LIMIT: Duration = Duration::from_secs(10);

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// A container's server: the addresses for datagrams and connections.
fn serve(netd: &Netd, view: View) -> (SocketAddr, SocketAddr) {
    let udp = inet::bind_udp("127.0.0.11:0".parse().unwrap()).unwrap();
    let tcp = inet::listen_tcp("127.0.0.11:0".parse().unwrap()).unwrap();
    let addresses = (
        inet::local_address(udp.as_fd()).unwrap(),
        inet::local_address(tcp.as_fd()).unwrap(),
    );
    let member = |container: &str, names: &[&str], address: &str| Request::Join {
        network: "n".to_owned(),
        member: Member {
            container: container.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            domain: "shop".to_owned(),
            addresses: vec![address.parse().unwrap()],
        },
    };
    netd.done(&member("1", &["web", "www"], "10.0.0.2"), &[]);
    netd.done(&member("2", &["db", "www"], "10.0.0.3"), &[]);
    let request = Request::Resolve {
        container: "1".to_owned(),
        view: View {
            networks: vec!["n".to_owned()],
            ..view
        },
    };
    netd.done(&request, &[udp, tcp]);
    addresses
}

fn ask(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.send(message).unwrap();
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// How it ended, and how many answers there are.
fn result(answer: &[u8]) -> (u8, u8) {
    (answer[3] & 15, answer[7])
}

pub(crate) fn answers_what_it_knows() {
    let netd = Netd::start();
    let view = View {
        internal: true,
        ..View::default()
    };
    let (udp, _) = serve(&netd, view);
    assert!(ask(udp, &question("WEB", 1)).ends_with(&[10, 0, 0, 2]));
    assert!(ask(udp, &question("db.shop", 1)).ends_with(&[10, 0, 0, 3]));
    assert_eq!(result(&ask(udp, &question("www", 1))), (0, 2));
    // It exists, without addresses of this family: not "no such name".
    assert_eq!(result(&ask(udp, &question("web", 28))), (0, 0));
    let back = ask(udp, &question("2.0.0.10.in-addr.arpa", 12));
    assert!(back.ends_with(b"\x03web\x04shop\0"), "{back:?}");
    assert_eq!(result(&ask(udp, &question("elsewhere.test", 1))), (2, 0));
    let leave = Request::Leave {
        network: "n".to_owned(),
        container: "2".to_owned(),
    };
    netd.done(&leave, &[]);
    assert_eq!(result(&ask(udp, &question("www", 1))), (0, 1));
}

pub(crate) fn a_shared_name_leads_to_each_of_its_owners() {
    let netd = Netd::start();
    let (udp, _) = serve(&netd, View::default());
    let mut lasts = BTreeSet::new();
    for _ in 0..64 {
        let answer = ask(udp, &question("www", 1));
        assert_eq!(result(&answer), (0, 2));
        lasts.extend(answer.last().copied());
        // Most resolvers ask for both families, each time.
        assert_eq!(result(&ask(udp, &question("www", 28))), (0, 0));
    }
    assert_eq!(lasts.len(), 2, "{lasts:?}");
}

pub(crate) fn a_view_without_sockets_is_no_server() {
    let netd = Netd::start();
    let held = || match netd.client().call(&Request::State, &[]).unwrap() {
        Reply::State(held) => held,
        other => panic!("a state was asked for: {other:?}"),
    };
    let view = Request::Resolve {
        container: "1".to_owned(),
        view: View::default(),
    };
    netd.done(&view, &[]);
    // Who took it for one would never give it sockets.
    assert!(held().is_empty());
    let (udp, _) = serve(&netd, View::default());
    assert!(held()[0].resolves);
    assert!(ask(udp, &question("web", 1)).ends_with(&[10, 0, 0, 2]));
}

/// A resolver that answers every question in this way, until it is asked for `stop`.
fn resolver(address: &str, code: u8) -> Option<std::thread::JoinHandle<usize>> {
    // Only root may stand at port 53.
    let socket = UdpSocket::bind((address, 53)).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    Some(std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut count = 0;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if buffer[..length].windows(5).any(|part| part == b"\x04stop") {
                break;
            }
            count += 1;
            // A lie with another number first: it must not count.
            let mut answer = buffer[..length].to_vec();
            (answer[2], answer[3]) = (0x81, 0x80 | code);
            let mut lie = answer.clone();
            lie[0] ^= 1;
            lie[3] = 0x85;
            socket.send_to(&lie, from).unwrap();
            socket.send_to(&answer, from).unwrap();
        }
        count
    }))
}

fn stop(address: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&question("stop", 1), (address, 53)).unwrap();
}

pub(crate) fn passes_on_what_it_does_not_know() {
    let (failing, denying) = ("127.83.0.1", "127.83.0.2");
    let (Some(first), Some(second)) = (resolver(failing, 2), resolver(denying, 3)) else {
        return;
    };
    let netd = Netd::start();
    let servers: Vec<IpAddr> = [failing, "127.83.0.3", denying]
        .map(|text| text.parse().unwrap())
        .into();
    let (udp, _) = serve(
        &netd,
        View {
            servers: Some(servers),
            ..View::default()
        },
    );
    // The first fails, nobody listens at the second, the third knows that there is no such name.
    let answer = ask(udp, &question("elsewhere.test", 1));
    assert_eq!((result(&answer), &answer[..2]), ((3, 0), &[0x12, 0x34][..]));
    assert!(ask(udp, &question("web", 1)).ends_with(&[10, 0, 0, 2]));
    stop(failing);
    stop(denying);
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 1));
}

pub(crate) fn asks_servers_that_were_given_from_inside_the_container() {
    let address = "127.83.2.1";
    // One on the host, another one at the same address inside.
    let Some(outside) = resolver(address, 2) else {
        return;
    };
    let netd = Netd::start();
    let view = View {
        servers: Some(vec![address.parse().unwrap()]),
        // Its own routes say how far it reaches.
        internal: true,
        ..View::default()
    };
    let made = netns::create(|_| {
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        (serve(&netd, view), resolver(address, 3))
    });
    let (inside, ((udp, _), answering)) = made.unwrap();
    let answer = netns::enter(inside.as_fd(), || ask(udp, &question("elsewhere.test", 1)));
    assert_eq!(result(&answer.unwrap()), (3, 0));
    netns::enter(inside.as_fd(), || stop(address)).unwrap();
    stop(address);
    assert_eq!(answering.unwrap().join().unwrap(), 1);
    assert_eq!(outside.join().unwrap(), 0);
}

pub(crate) fn takes_questions_by_connection() {
    let Ok(upstream) = TcpListener::bind("127.83.1.1:53") else {
        return;
    };
    let netd = Netd::start();
    let (_, tcp) = serve(
        &netd,
        View {
            servers: Some(vec!["127.83.1.1".parse().unwrap()]),
            ..View::default()
        },
    );
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        message[2] |= 0x80;
        // Longer than any datagram may be.
        message.resize(9000, 7);
        stream
            .write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())
            .unwrap();
        stream.write_all(&message).unwrap();
    });
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut both = Vec::new();
    for name in ["web", "elsewhere.test"] {
        let message = question(name, 1);
        both.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        both.extend_from_slice(&message);
    }
    stream.write_all(&both).unwrap();
    let mut next = || {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        message
    };
    assert!(next().ends_with(&[10, 0, 0, 2]));
    assert_eq!(next().len(), 9000);
    answering.join().unwrap();
}

pub(crate) fn survives_nonsense_and_a_flood() {
    const QUESTIONS: u32 = 50_000;
    let netd = Netd::start();
    // Nobody answers there.
    let (udp, _) = serve(
        &netd,
        View {
            servers: Some(vec!["192.0.2.1".parse().unwrap()]),
            ..View::default()
        },
    );
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    flood.connect(udp).unwrap();
    for size in 0..200 {
        flood.send(&vec![0xff; size]).unwrap();
        flood.send(&question(&format!("x{size}.test"), 1)).unwrap();
    }
    for number in 0..2000 {
        flood
            .send(&question(&format!("y{number}.test"), 1))
            .unwrap();
    }
    // Names of ours are answered all the same, and quickly.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(udp).unwrap();
    let (message, mut buffer) = (question("web", 1), [0; 512]);
    // As a resolver does: what comes while the flood still fills the queue is lost, and asked again.
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let answered = (0..100).any(|_| {
        socket.send(&message).unwrap();
        socket.recv(&mut buffer).is_ok()
    });
    assert!(answered);
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let begun = Instant::now();
    for _ in 0..QUESTIONS / 10 {
        for _ in 0..10 {
            socket.send(&message).unwrap();
        }
        for _ in 0..10 {
            socket.recv(&mut buffer).unwrap();
        }
    }
    let rate = f64::from(QUESTIONS) / begun.elapsed().as_secs_f64();
    let pid = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find_map(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            let child = status.contains(&format!("PPid:\t{}\n", std::process::id()));
            child.then(|| {
                let line = status
                    .lines()
                    .find(|line| line.starts_with("VmRSS"))
                    .unwrap_or_default();
                line.to_owned()
            })
        });
    println!("{rate:.0} questions a second, {}", pid.unwrap_or_default());
}
