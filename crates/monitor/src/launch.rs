//! From inherited descriptors to a created container.
//!
//! The order matters: the parent of the container is a subreaper before it has a child; the socket through which a later
//! engine finds the monitor exists before the engine is told that the container does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use sys::poll::Poll;
use sys::process::SingleThreaded;
use sys::socket::SeqPacket;
use sys::spawn::inherited;

use crate::container::{Container, Inherited};
use crate::control::Engine;
use crate::logfile::Writer;
use crate::protocol::{
    CONTROL_FD, EXECUTABLE_FD, EXIT_FILE, Event, Failure, LAUNCH_FD, Launch, Message, NETNS_FD,
    PID_FILE, ROOTFS_FD, SOCKET, Stage,
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

/// Becomes the parent of a created container.
pub(crate) fn launch() -> Result<Monitor, Refused> {
    // All of them before anything is opened: a number that was not handed over may be given to something else.
    let control = inherited(CONTROL_FD).ok_or(Refused)?;
    let launch = inherited(LAUNCH_FD);
    let handed = Inherited {
        rootfs: inherited(ROOTFS_FD),
        netns: inherited(NETNS_FD),
        executable: inherited(EXECUTABLE_FD),
    };
    let mut engine = Engine::new(SeqPacket::from_fd(control)).map_err(|_| Refused)?;
    match create(launch, handed) {
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

fn create(launch: Option<OwnedFd>, handed: Inherited) -> Result<Monitor, Failure> {
    let proof = SingleThreaded::prove().map_err(failed("count threads of the monitor"))?;
    // Blocked, SIGTERM and its like are ignored: a monitor ends with its container.
    sys::signal::block_all();
    let children = sys::poll::signal(sys::process::Signal::CHILD.as_raw())
        .map_err(failed("watch for ended children"))?;
    sys::process::set_child_subreaper().map_err(failed("become subreaper"))?;
    let launch = read_launch(launch)?;
    let settings = Settings {
        run_dir: launch.run_dir.into(),
        state_dir: launch.state_dir.into(),
        durable: launch.durable,
        detach_keys: launch.detach_keys,
    };
    let log = launch
        .log
        .as_ref()
        .map(Writer::open)
        .transpose()
        .map_err(failed("open the container's log"))?;
    // Of an earlier run that was cut off; an exit that is not of this run must not be found.
    settings.clear_run_dir();
    std::fs::remove_file(settings.state_dir.join(EXIT_FILE)).ok();
    let socket = settings.run_dir.join(SOCKET);
    let listener = SeqPacket::listen(&socket)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(failed(format!("listen at {}", socket.display())))?;
    let made = write_pid(&settings)
        .and_then(|()| Container::create(proof, &launch.plan, &launch.stdio, handed))
        .map(|(mut container, streams)| {
            if launch.holds_mounts {
                container.hold_mounts();
            }
            (container, streams)
        });
    match made {
        Ok((container, streams)) => Ok(Monitor {
            settings,
            engines: Vec::new(),
            listener,
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
    /// Takes away what tells others that this monitor is here.
    pub(crate) fn clear_run_dir(&self) {
        for name in [SOCKET, PID_FILE] {
            std::fs::remove_file(self.run_dir.join(name)).ok();
        }
    }
}

fn write_pid(settings: &Settings) -> Result<(), Failure> {
    let path = settings.run_dir.join(PID_FILE);
    let pid = std::process::id().to_string();
    store::write_atomic(&path, pid.as_bytes(), false).map_err(|error| Failure {
        stage: Stage::Setup,
        errno: 0,
        message: error.to_string(),
    })
}

fn read_launch(fd: Option<OwnedFd>) -> Result<Launch, Failure> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let mut bytes = Vec::new();
    File::from(fd.ok_or_else(missing).map_err(failed("take the launch"))?)
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
