//! What networks carry, measured in the contestant's machine: bytes and round trips to a container's port by each way there
//! is, and answers of the name server. The other side is this very process, inside the container's network namespace, so
//! that it is the same for everyone.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sys::netns;

use crate::http::Connection;

/// Where the container's side listens.
pub(crate) const PORT: u16 = 7;
/// How long bytes are sent. Short and often shows more than long and seldom: the machine is another from second to second.
const SENDING: Duration = Duration::from_millis(50);
/// How much is written and read at once, and how much of it may be on its way.
const CHUNK: usize = 1 << 17;
const AHEAD: usize = 1 << 20;
/// How long questions are asked.
const ASKING: Duration = Duration::from_secs(1);
const ROUND_TRIPS: usize = 2000;
/// Questions that are on their way at once.
const WINDOW: usize = 32;
const LIMIT: Duration = Duration::from_secs(5);

fn inspect(socket: &Path, container: &str) -> Result<Value> {
    Connection::open(socket)?.done("GET", &format!("/containers/{container}/json"), None)
}

fn namespace(inspected: &Value) -> Result<File> {
    let pid = inspected["State"]["Pid"].as_u64().context("no process")?;
    Ok(File::open(format!("/proc/{pid}/ns/net"))?)
}

fn address(value: &Value) -> Result<IpAddr> {
    Ok(value.as_str().context("no address")?.parse()?)
}

/// Bytes and round trips to a container that has published [`PORT`], by every way: to the container itself, to its port at
/// the bridge's address, at 127.0.0.1 and at `[::1]`. MB/s and microseconds of each, zero where there is none.
pub(crate) fn measure(socket: &Path, container: &str) -> Result<Vec<f64>> {
    let inspected = inspect(socket, container)?;
    let settings = &inspected["NetworkSettings"];
    let network = &settings["Networks"]["bridge"];
    let network = if network.is_null() {
        &settings["Networks"]["podman"]
    } else {
        network
    };
    let direct = address(&network["IPAddress"])?;
    let gateway = address(&network["Gateway"])?;
    let bound = settings["Ports"][format!("{PORT}/tcp")][0]["HostPort"].as_str();
    let port: u16 = bound.context("nothing is published")?.parse()?;
    let inside = namespace(&inspected)?;
    let listener = netns::enter(inside.as_fd(), || TcpListener::bind(("0.0.0.0", PORT)))??;
    listener.set_nonblocking(true)?;
    let ways = [
        SocketAddr::new(direct, PORT),
        SocketAddr::new(gateway, port),
        SocketAddr::new([127, 0, 0, 1].into(), port),
        SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), port),
    ];
    let measured = ways.map(|way| [throughput(way, &listener), round_trip(way, &listener)]);
    let values = measured.into_iter().flatten();
    Ok(values.map(|value| value.unwrap_or(0.0)).collect())
}

/// A connection by this way, and its end in the container.
fn connect(way: SocketAddr, listener: &TcpListener) -> Result<[TcpStream; 2]> {
    let client = TcpStream::connect_timeout(&way, LIMIT)?;
    let begun = Instant::now();
    let server = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ensure!(begun.elapsed() < LIMIT, "nothing arrives by {way}");
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
    }
    Ok([client, server])
}

/// Megabytes a second, of those that have arrived. Both ends are this thread's, see [`round_trip`].
fn throughput(way: SocketAddr, listener: &TcpListener) -> Result<f64> {
    let [mut client, mut server] = connect(way, listener)?;
    for stream in [&client, &server] {
        stream.set_nonblocking(true)?;
    }
    let moved = |result: std::io::Result<usize>| match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    };
    let (sending, mut receiving) = (vec![b's'; CHUNK], vec![0; CHUNK]);
    let (begun, mut sent, mut received) = (Instant::now(), 0, 0);
    while begun.elapsed() < SENDING {
        if sent - received < AHEAD {
            sent += moved(client.write(&sending))?;
        }
        received += moved(server.read(&mut receiving))?;
    }
    Ok(received as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// Microseconds of one byte there and back, in the median. Both ends are this thread's: what it waits for is the way alone,
/// and not that another processor wakes up, which takes as long again and differs from second to second.
fn round_trip(way: SocketAddr, listener: &TcpListener) -> Result<f64> {
    let [mut client, mut server] = connect(way, listener)?;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        client.write_all(b"x")?;
        server.read_exact(&mut [0])?;
        server.write_all(b"y")?;
        client.read_exact(&mut [0])?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUND_TRIPS / 2])
}

/// Answers a second to many questions at once for the name of a container, asked from another, and the microseconds of a
/// single one.
pub(crate) fn names(socket: &Path, container: &str, name: &str) -> Result<Vec<f64>> {
    let inside = namespace(&inspect(socket, container)?)?;
    let asking = netns::enter(inside.as_fd(), || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect("127.0.0.11:53").map(|()| socket)
    })??;
    asking.set_read_timeout(Some(LIMIT))?;
    let mut question = vec![
        0,
        7,
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        u8::try_from(name.len())?,
    ];
    question.extend_from_slice(name.as_bytes());
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let mut answer = [0; 512];
    let mut receive = || -> Result<()> {
        let length = asking.recv(&mut answer)?;
        ensure!(
            length > 8 && answer[3] % 16 == 0 && answer[7] > 0,
            "no address in the answer"
        );
        Ok(())
    };
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        asking.send(&question)?;
        receive()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    for _ in 0..WINDOW {
        asking.send(&question)?;
    }
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < ASKING {
        receive()?;
        asking.send(&question)?;
        count += 1;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    Ok(vec![rate, times[ROUND_TRIPS / 2]])
}
