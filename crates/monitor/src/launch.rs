//! From a process that waits to a created container.
//!
//! What needs no container is done before there is one: a monitor is spawned ahead of its container, and waits.
//!
//! The order matters: the parent of the container is a subreaper before it has a child; the socket through which a later
//! engine finds the monitor exists before the engine is told that the container does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use sys::poll::Poll;
use sys::process::{SingleThreaded, Title};
use sys::socket::SeqPacket;
use sys::spawn::inherited;

use crate::container::{Container, Inherited};
use crate::control::Engine;
use crate::logfile::Writer;
use crate::protocol::{
    CONTROL_FD, EXIT_FILE, Event, Failure, Handover, Launch, Message, PID_FILE, SOCKET, Stage,
};
use crate::watch::Monitor;

/// There is no container; the engine, if there is one, has been told why.
#[derive(Debug)]
pub(crate) struct Refused;

/// What is kept of the launch once the container exists.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) run_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) durable: bool,
    pub(crate) detach_keys: Vec<u8>,
}

/// Waits for a container, and becomes its parent.
pub(crate) fn launch() -> Result<Monitor, Refused> {
    let control = SeqPacket::from_fd(inherited(CONTROL_FD).ok_or(Refused)?);
    let ready = Ready::make();
    // An engine that is gone has no container for this one.
    let handed = receive(&control).map_err(|_| Refused)?;
    let mut engine = Engine::new(control).map_err(|_| Refused)?;
    match ready.and_then(|ready| create(ready, handed)) {
        Ok(mut monitor) => {
            sys::memory::trim();
            engine.tell(&Message::Event(Event::Created {
                pid: monitor.container.pid(),
                warnings: monitor.container.take_warnings(),
            }));
            monitor.engines.push(engine);
            Ok(monitor)
        }
        Err(failure) => {
            engine.tell(&Message::Event(Event::Failed(failure)));
            Err(Refused)
        }
    }
}

/// What a monitor has before it has a container.
#[derive(Debug)]
struct Ready {
    proof: SingleThreaded,
    /// Only what ps(1) shows: a host may do without.
    title: Option<Title>,
    children: OwnedFd,
}

impl Ready {
    fn make() -> Result<Self, Failure> {
        let proof = SingleThreaded::prove().map_err(failed("count threads of the monitor"))?;
        // Blocked, SIGTERM and its like are ignored: a monitor ends with its container.
        sys::signal::block_all();
        let children = sys::poll::signal(sys::process::Signal::CHILD.as_raw())
            .map_err(failed("watch for ended children"))?;
        sys::process::set_child_subreaper().map_err(failed("become subreaper"))?;
        Ok(Self {
            proof,
            title: Title::find().ok(),
            children,
        })
    }
}

/// The launch, and what the engine hands over for the runtime.
fn receive(control: &SeqPacket) -> io::Result<(OwnedFd, Inherited)> {
    let mut packet = Vec::new();
    let (_, fds) = control.recv(&mut packet)?;
    let handover: Handover = postcard::from_bytes(&packet).map_err(io::Error::other)?;
    let mut fds = fds.into_iter();
    let launch = fds.next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut next = |there: bool| if there { fds.next() } else { None };
    let inherited = Inherited {
        rootfs: next(handover.rootfs),
        netns: next(handover.netns),
        executable: next(handover.executable),
    };
    Ok((launch, inherited))
}

fn create(ready: Ready, (launch, handed): (OwnedFd, Inherited)) -> Result<Monitor, Failure> {
    let Ready {
        proof,
        title,
        children,
    } = ready;
    let launch = read_launch(launch)?;
    let making = Container::begin(&proof, &launch, handed)?;
    // The container's process is at work meanwhile, on another processor if there is one.
    if let Some(title) = title {
        title.set(&proof, &["corten", "monitor", &launch.id]);
    }
    let settings = Settings::of(&launch);
    let found = settings.open(&launch);
    let made = found.and_then(|found| making.finish(proof).map(|made| (found, made)));
    match made {
        Ok(((log, listener), (container, streams))) => Ok(Monitor {
            settings,
            engines: Vec::new(),
            listener: Some(listener),
            children,
            poll: Poll::new(),
            buffer: Vec::new(),
            packet: Vec::new(),
            log,
            container,
            streams,
            execs: Vec::new(),
            started_at: 0,
            ending: None,
        }),
        Err(failure) => {
            settings.clear_run_dir();
            Err(failure)
        }
    }
}

impl Settings {
    fn of(launch: &Launch) -> Self {
        Self {
            run_dir: PathBuf::from(&launch.run_dir),
            state_dir: PathBuf::from(&launch.state_dir),
            durable: launch.durable,
            detach_keys: launch.detach_keys.clone(),
        }
    }

    /// Opens the log, and what a later engine finds this monitor by.
    fn open(&self, launch: &Launch) -> Result<(Option<Writer>, SeqPacket), Failure> {
        let log = launch.log.as_ref().map(Writer::open).transpose();
        let log = log.map_err(failed("open the container's log"))?;
        // Of an earlier run that was cut off; an exit that is not of this run must not be found.
        self.clear_run_dir();
        std::fs::remove_file(self.state_dir.join(EXIT_FILE)).ok();
        let socket = self.run_dir.join(SOCKET);
        let listener = SeqPacket::listen(&socket)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(failed(format!("listen at {}", socket.display())))?;
        self.write_pid()?;
        Ok((log, listener))
    }

    fn write_pid(&self) -> Result<(), Failure> {
        let path = self.run_dir.join(PID_FILE);
        let pid = std::process::id().to_string();
        store::write_atomic(&path, pid.as_bytes(), false).map_err(|error| Failure {
            stage: Stage::Setup,
            errno: 0,
            message: error.to_string(),
        })
    }

    /// Takes away what tells others that this monitor is here.
    pub(crate) fn clear_run_dir(&self) {
        for name in [SOCKET, PID_FILE] {
            std::fs::remove_file(self.run_dir.join(name)).ok();
        }
    }
}

fn read_launch(fd: OwnedFd) -> Result<Launch, Failure> {
    let mut bytes = Vec::new();
    File::from(fd)
        .read_to_end(&mut bytes)
        .map_err(failed("read the launch"))?;
    postcard::from_bytes(&bytes)
        .map_err(|error| failed("understand the launch")(io::Error::other(error)))
}

/// A step before the program that failed.
pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let what = what.into();
    move |error| Failure {
        stage: Stage::Setup,
        errno: error.raw_os_error().unwrap_or(0),
        message: format!("{what}: {error}"),
    }
}
