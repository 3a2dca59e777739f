//! A host and an outside machine as two network namespaces joined by a cable.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use network::{Bridge, Config, Connected, Endpoint, Networks};
use sys::netlink::{ACK, CREATE, Message, Protocol, Socket};
use sys::netns;
use tempfile::TempDir;

/// The host's end of the cable.
pub(crate) const HOST: &str = "198.51.100.1";
/// The outside machine.
pub(crate) const OUTSIDE: &str = "198.51.100.2";

/// The address that a container got.
pub(crate) trait Address {
    fn ip(&self) -> Ipv4Addr;
}

impl Address for Connected {
    fn ip(&self) -> Ipv4Addr {
        self.endpoint.ipv4.unwrap().addr()
    }
}

/// Runs a test on a thread inside a new network namespace, which is the host of the test.
pub(crate) fn on_host(test: impl FnOnce() + Send) {
    let root = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line == "Uid:\t0\t0\t0\t0");
    if !root {
        assert!(
            std::env::var_os("REQUIRE_ROOT").is_none(),
            "this test needs root"
        );
        eprintln!("skipped: needs root");
        return;
    }
    netns::create(|_| {
        up(1);
        test();
    })
    .unwrap();
}

/// Plugs an outside machine into the host, with a default route through it.
pub(crate) fn outside(mtu: u32) -> OwnedFd {
    let (fd, ()) = netns::create(|_| up(1)).unwrap();
    let attributes = |m: Message, name: &str| m.string(3, name).attribute(4, &mtu.to_ne_bytes());
    let message = attributes(
        Message::new(16, ACK | CREATE).raw(&link_header(77, 0)),
        "uplink",
    )
    .nest(18, |m| {
        m.string(1, "veth").nest(2, |m| {
            m.nest(1, |m| {
                attributes(m.raw(&link_header(77, 0)), "out")
                    .attribute(28, &fd.as_raw_fd().to_ne_bytes())
            })
        })
    });
    socket().transact(&[message]).unwrap();
    address(77, HOST);
    let route = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    let gateway: Ipv4Addr = OUTSIDE.parse().unwrap();
    socket()
        .transact(&[Message::new(24, ACK | CREATE)
            .raw(&route)
            .attribute(5, &gateway.octets())])
        .unwrap();
    netns::enter(fd.as_fd(), || address(77, OUTSIDE)).unwrap();
    fd
}

/// Gives interface 77 of the calling thread's namespace a /24 address and brings it up.
fn address(index: u32, address: &str) {
    let octets = address.parse::<Ipv4Addr>().unwrap().octets();
    let mut header = [2, 24, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    up(index);
    socket()
        .transact(&[Message::new(20, ACK | CREATE)
            .raw(&header)
            .attribute(2, &octets)
            .attribute(1, &octets)])
        .unwrap();
}

/// A route of the calling thread's namespace into `subnet` (a /16) through the host.
pub(crate) fn route_to(subnet: Ipv4Addr) {
    let gateway: Ipv4Addr = HOST.parse().unwrap();
    let header = [2, 16, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    let message = Message::new(24, ACK | CREATE)
        .raw(&header)
        .attribute(1, &subnet.octets())
        .attribute(5, &gateway.octets());
    socket().transact(&[message]).unwrap();
}

fn up(index: u32) {
    socket()
        .transact(&[Message::new(19, ACK).raw(&link_header(index, 1))])
        .unwrap();
}

fn link_header(index: u32, up: u8) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8] = up;
    header[12] = up;
    header
}

fn socket() -> Socket {
    Socket::open(Protocol::Route).unwrap()
}

/// A host's networks, and the default bridge among them; the records go with it.
pub(crate) struct Opened {
    pub(crate) networks: Networks,
    bridge: Arc<Bridge>,
    dir: TempDir,
}

impl std::ops::Deref for Opened {
    type Target = Bridge;

    fn deref(&self) -> &Bridge {
        &self.bridge
    }
}

pub(crate) fn config() -> Config {
    Config {
        dir: std::path::PathBuf::new(),
        quarantine: std::path::PathBuf::new(),
        bridge: "corten0".into(),
        bip: None,
        mtu: None,
        pools: Vec::new(),
        relayed: false,
    }
}

/// Opens networks that must work without a warning.
pub(crate) fn open(config: Config) -> Opened {
    let (opened, warnings) = open_with(config, &[]);
    assert_eq!(warnings, Vec::<String>::new());
    opened
}

/// Opens networks in a directory of their own.
pub(crate) fn open_with(config: Config, used: &[Endpoint]) -> (Opened, Vec<String>) {
    open_in(tempfile::tempdir().unwrap(), config, used)
}

/// Opens networks in a directory, which may hold records.
pub(crate) fn open_in(dir: TempDir, config: Config, used: &[Endpoint]) -> (Opened, Vec<String>) {
    let config = Config {
        dir: dir.path().join("networks"),
        quarantine: dir.path().join("quarantine"),
        ..config
    };
    let (networks, warnings) = Networks::open(config, used).unwrap();
    let bridge = networks.default_bridge().unwrap();
    let opened = Opened {
        networks,
        bridge,
        dir,
    };
    (opened, warnings)
}

impl Opened {
    /// What a daemon that dies leaves: the records.
    pub(crate) fn die(self) -> TempDir {
        self.dir
    }
}

/// How many interfaces the calling thread's namespace has.
pub(crate) fn links() -> usize {
    std::fs::read_to_string("/proc/thread-self/net/dev")
        .unwrap()
        .lines()
        .count()
        - 2
}

/// Waits up to two seconds for something.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(2);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A listener inside a namespace.
pub(crate) fn listen(netns: BorrowedFd<'_>) -> TcpListener {
    listen_at(netns, "0.0.0.0:80")
}

/// A listener inside a namespace, at this address. A program that another test starts has the listener that was closed
/// there a moment ago until its exec.
pub(crate) fn listen_at(netns: BorrowedFd<'_>, address: &str) -> TcpListener {
    let mut bound = None;
    eventually("the address is free", || {
        bound = match netns::enter(netns, || TcpListener::bind(address)).unwrap() {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => None,
            other => Some(other.unwrap()),
        };
        bound.is_some()
    });
    bound.unwrap()
}

/// Connects from inside a namespace; returns the address that the listener saw.
pub(crate) fn reach(
    from: BorrowedFd<'_>,
    to: IpAddr,
    listener: &TcpListener,
) -> std::io::Result<IpAddr> {
    let target = SocketAddr::new(to, 80);
    let mut client = netns::enter(from, || {
        TcpStream::connect_timeout(&target, Duration::from_millis(1500))
    })??;
    let (mut server, peer) = listener.accept()?;
    server.write_all(b"hello")?;
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text)?;
    assert_eq!(text, "hello");
    Ok(peer.ip())
}

/// Reads a file as the sandbox's processes would see it.
pub(crate) fn read_inside(sandbox: &Connected, path: &str) -> String {
    netns::enter(sandbox.netns.as_fd(), || {
        std::fs::read_to_string(path).unwrap()
    })
    .unwrap()
}
