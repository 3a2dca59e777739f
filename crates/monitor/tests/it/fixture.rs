//! A root file system, a container's launch, and the engine's end of a monitor.

use std::ffi::CStr;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use monitor::protocol::{
    ARGUMENTS, Attach, CONTROL_FD, Call, Event, ExecLaunch, Exit, Handover, Launch, Log, Message,
    Reply, Request, Stdio,
};
use runtime::plan::{Extras, Plan, Process};
use serde_json::{Value, json};
use sys::poll::{Interest, Poll};
use sys::socket::SeqPacket;
use sys::spawn::{Groups, Spawned, spawn};

const PATIENCE: Duration = Duration::from_secs(20);

/// Why the tests cannot run here, if they cannot.
pub(crate) fn missing() -> Option<&'static str> {
    if fs::File::options()
        .write(true)
        .open("/proc/self/oom_score_adj")
        .is_err()
        || !is_root()
    {
        return Some("not root");
    }
    (!Path::new("/bin/busybox").exists()).then_some("no /bin/busybox")
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

fn cgroup_parent() -> String {
    format!("/corten-monitor-test-{}", std::process::id())
}

/// Removes what all containers' groups were below.
pub(crate) fn remove_cgroup_parent() {
    let layout = sys::cgroup::Layout::detect().unwrap();
    for mount in layout
        .v1
        .iter()
        .map(|hierarchy| &hierarchy.mount)
        .chain(&layout.v2)
    {
        let path = PathBuf::from(format!("{}{}", mount.display(), cgroup_parent()));
        if path.exists() {
            fs::remove_dir(&path).unwrap();
        }
    }
}

/// What a test wants of its container.
pub(crate) struct Wish {
    pub(crate) script: String,
    pub(crate) stdio: Stdio,
    pub(crate) log: bool,
    pub(crate) memory: Option<i64>,
    pub(crate) host_pids: bool,
    pub(crate) program: Option<Vec<String>>,
}

pub(crate) fn wish(script: &str) -> Wish {
    Wish {
        script: script.to_owned(),
        stdio: Stdio::default(),
        log: true,
        memory: None,
        host_pids: false,
        program: None,
    }
}

/// A container under its monitor.
pub(crate) struct Container {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) monitor: Spawned,
    pub(crate) control: SeqPacket,
    pub(crate) pid: i32,
    cgroups: Vec<PathBuf>,
    sequence: u32,
    events: Vec<Event>,
    dead: bool,
}

fn process(wish: &Wish) -> Value {
    let shell = vec!["sh".to_owned(), "-c".to_owned(), wish.script.clone()];
    let args = wish.program.clone().unwrap_or(shell);
    let caps = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"];
    json!({
        "terminal": wish.stdio.tty, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
        "env": ["PATH=/bin", "TERM=xterm"],
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
    })
}

fn spec(wish: &Wish, id: &str) -> oci::runtime::Spec {
    let mut namespaces = vec!["mount", "uts", "ipc", "network", "cgroup"];
    if !wish.host_pids {
        namespaces.push("pid");
    }
    let namespaces: Vec<Value> = namespaces
        .iter()
        .map(|kind| json!({"type": kind}))
        .collect();
    let mut resources = json!({"devices": [{"allow": true, "access": "rwm"}]});
    if let Some(limit) = wish.memory {
        resources["memory"] = json!({"limit": limit, "swap": limit});
    }
    serde_json::from_value(json!({
        "ociVersion": "1.2.0", "process": process(wish), "root": {"path": "rootfs"}, "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {"namespaces": namespaces, "cgroupsPath": format!("{}/{id}", cgroup_parent()), "resources": resources},
    }))
    .unwrap()
}

fn root(directory: &Path) {
    for name in ["bin", "proc", "dev", "tmp"] {
        fs::create_dir_all(directory.join("rootfs").join(name)).unwrap();
    }
    let bin = directory.join("rootfs/bin");
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    for name in [
        "sh", "cat", "sleep", "ls", "yes", "head", "stty", "dd", "tail", "kill", "ps", "true",
        "seq", "id",
    ] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    fs::write(bin.join("text"), "no program").unwrap();
}

impl Container {
    /// Starts a monitor and waits for what it says about the container.
    pub(crate) fn try_create(wish: &Wish) -> Result<Self, runtime::Failure> {
        static EXECUTABLE: OnceLock<std::os::fd::OwnedFd> = OnceLock::new();
        let directory = tempfile::tempdir().unwrap();
        root(directory.path());
        let id = directory
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_start_matches('.')
            .to_owned();
        let extras = Extras {
            id: id.clone(),
            bundle: directory.path().to_str().unwrap().to_owned(),
            die_with_parent: true,
            ..Extras::default()
        };
        let plan = Plan::compile(&spec(wish, &id), extras).unwrap();
        let cgroup = plan.cgroup.clone().unwrap();
        let cgroups = cgroup.v1.iter().map(|(_, mount)| mount).chain(&cgroup.v2);
        let cgroups = cgroups
            .map(|mount| PathBuf::from(format!("{mount}{}", cgroup.path)))
            .collect();
        let state_dir = directory.path().to_str().unwrap().to_owned();
        let log = Log {
            path: format!("{state_dir}/log.json"),
            max_size: 0,
            max_files: 1,
        };
        let launch = Launch {
            id,
            run_dir: state_dir.clone(),
            state_dir,
            durable: false,
            holds_mounts: false,
            plan,
            stdio: wish.stdio.clone(),
            log: wish.log.then_some(log),
            detach_keys: vec![0x10, 0x11],
        };
        let memory =
            sys::memfd::sealed("launch", &postcard::to_allocvec(&launch).unwrap()).unwrap();
        let (control, theirs) = SeqPacket::pair().unwrap();
        let executable = EXECUTABLE.get_or_init(|| sys::memfd::own_executable().unwrap());
        let args = ARGUMENTS.map(CStr::to_owned);
        let stderr = std::io::stderr();
        let fds = [(theirs.as_fd(), CONTROL_FD), (stderr.as_fd(), 2)];
        let monitor = spawn(executable, &args, &[], &fds, true, &Groups::default()).unwrap();
        drop(theirs);
        let handover = Handover {
            rootfs: false,
            netns: false,
            executable: false,
        };
        let packet = postcard::to_allocvec(&handover).unwrap();
        control.send(&packet, &[memory.as_fd()]).unwrap();
        let mut container = Self {
            directory,
            monitor,
            control,
            pid: 0,
            cgroups,
            sequence: 0,
            events: Vec::new(),
            dead: false,
        };
        match container.message() {
            Some(Message::Event(Event::Created { pid, .. })) => container.pid = pid,
            Some(Message::Event(Event::Failed(failure))) => {
                container.assert_nothing_left();
                return Err(failure);
            }
            other => panic!("unexpected: {other:?}"),
        }
        Ok(container)
    }

    pub(crate) fn create(wish: &Wish) -> Self {
        Self::try_create(wish).unwrap()
    }

    /// Creates and starts.
    pub(crate) fn run(wish: &Wish) -> Self {
        let mut container = Self::create(wish);
        container.start();
        container
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn message(&self) -> Option<Message> {
        let mut poll = Poll::new();
        poll.add(self.control.as_fd(), Interest::Read);
        let begun = Instant::now();
        while poll.wait(Some(Duration::from_secs(1))).unwrap() == 0 {
            assert!(begun.elapsed() < PATIENCE, "the monitor says nothing");
        }
        let mut packet = Vec::new();
        match self.control.recv(&mut packet) {
            Ok((1.., _)) => Some(postcard::from_bytes(&packet).unwrap()),
            _ => None,
        }
    }

    pub(crate) fn call(&mut self, request: Request, fd: Option<BorrowedFd<'_>>) -> Reply {
        self.sequence += 1;
        let call = Call {
            seq: self.sequence,
            request,
        };
        let fds: Vec<_> = fd.into_iter().collect();
        self.control
            .send(&postcard::to_allocvec(&call).unwrap(), &fds)
            .unwrap();
        loop {
            match self.message().expect("the monitor is gone") {
                Message::Reply(sequence, reply) => {
                    assert_eq!(sequence, self.sequence);
                    return reply;
                }
                Message::Event(event) => self.events.push(event),
            }
        }
    }

    pub(crate) fn start(&mut self) {
        let reply = self.call(Request::Start, None);
        assert!(
            matches!(reply, Reply::Started { pid } if pid == self.pid),
            "{reply:?}"
        );
    }

    pub(crate) fn attach(&mut self, stdin: bool) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let attach = Attach {
            stdin,
            stdout: true,
            stderr: true,
            ..Attach::default()
        };
        let reply = self.call(Request::Attach(attach), Some(theirs.as_fd()));
        assert!(matches!(reply, Reply::Done), "{reply:?}");
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        ours
    }

    pub(crate) fn exec(&mut self, id: &str, script: &str, stdio: Stdio) -> (Reply, UnixStream) {
        let wish = Wish {
            stdio: stdio.clone(),
            ..wish(script)
        };
        let process = Process::compile(&serde_json::from_value(process(&wish)).unwrap()).unwrap();
        self.exec_process(id, process, stdio)
    }

    pub(crate) fn exec_process(
        &mut self,
        id: &str,
        process: Process,
        stdio: Stdio,
    ) -> (Reply, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let attach = Attach {
            stdin: stdio.open_stdin,
            stdout: true,
            stderr: true,
            ..Attach::default()
        };
        let launch = ExecLaunch {
            id: id.to_owned(),
            process,
            stdio,
            attach,
        };
        let reply = self.call(Request::Exec(Box::new(launch)), Some(theirs.as_fd()));
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        (reply, ours)
    }

    fn event(&mut self) -> Option<Event> {
        if !self.events.is_empty() {
            return Some(self.events.remove(0));
        }
        match self.message()? {
            Message::Event(event) => Some(event),
            Message::Reply(..) => panic!("a reply nobody waits for"),
        }
    }

    pub(crate) fn exec_exit(&mut self, wanted: &str) -> i32 {
        loop {
            match self.event().expect("an event") {
                Event::ExecExited { id, code } if id == wanted => return code,
                other => println!("passed over: {other:?}"),
            }
        }
    }

    /// Waits for the end; what is announced is what is on disk.
    pub(crate) fn exited(&mut self) -> Exit {
        let exit = self.announced();
        self.assert_nothing_left();
        exit
    }

    /// Waits for the end of the container; its monitor may still be there.
    pub(crate) fn announced(&mut self) -> Exit {
        let exit = loop {
            match self.event().expect("an event") {
                Event::Exited(exit) => break exit,
                other => println!("passed over: {other:?}"),
            }
        };
        let written = fs::read(self.path("exit.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Exit>(&written).unwrap(), exit);
        exit
    }

    /// The text of the log's records of one stream.
    pub(crate) fn log(&self, stream: monitor::logfile::Stream) -> String {
        let reader = monitor::logfile::Reader::open(&self.path("log.json"), 1).unwrap();
        let records = reader
            .map(Result::unwrap)
            .filter(|record| record.stream == stream);
        String::from_utf8(records.flat_map(|record| record.line).collect()).unwrap()
    }

    /// Waits for the monitor's end and looks whether anything of it or its container is still there.
    pub(crate) fn assert_nothing_left(&mut self) {
        if self.dead {
            return;
        }
        self.dead = true;
        let mut poll = Poll::new();
        poll.add(self.monitor.pidfd.as_fd(), Interest::Read);
        let ended = poll.wait(Some(PATIENCE)).unwrap() == 1;
        assert!(ended, "the monitor lives on");
        sys::process::wait(self.monitor.pid).unwrap();
        for name in ["monitor.sock", "monitor.pid"] {
            assert!(!self.path(name).exists(), "{name} is left");
        }
        for cgroup in &self.cgroups {
            assert!(!cgroup.exists(), "{} is left", cgroup.display());
        }
        assert!(self.pid == 0 || !Path::new(&format!("/proc/{}", self.pid)).exists());
    }

    /// Processes of the container, as the host sees them.
    pub(crate) fn processes(&self) -> Vec<i32> {
        sys::cgroup::processes(self.cgroups.last().unwrap()).unwrap_or_default()
    }

    /// For a monitor that was killed: waits until the container is gone, then removes its groups.
    pub(crate) fn buried(&mut self) {
        self.dead = true;
        sys::process::wait(self.monitor.pid).unwrap();
        until("the container is gone", || {
            !Path::new(&format!("/proc/{}", self.pid)).exists()
        });
        until("all processes are gone", || self.processes().is_empty());
        for cgroup in &self.cgroups {
            sys::cgroup::remove(cgroup).unwrap();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.dead {
            return;
        }
        // Of a failed test: the container dies with its monitor.
        sys::process::kill(self.monitor.pid, 9).ok();
        self.buried();
    }
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads frames until the end; stdout and stderr apart.
pub(crate) fn frames(stream: &mut UnixStream) -> (String, String) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let (mut texts, mut rest) = ([Vec::new(), Vec::new()], bytes.as_slice());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
        texts[usize::from(rest[0]) - 1].extend_from_slice(&rest[8..8 + length]);
        rest = &rest[8 + length..];
    }
    let [stdout, stderr] = texts.map(|text| String::from_utf8(text).unwrap());
    (stdout, stderr)
}

/// Reads until a text has come.
pub(crate) fn expect(stream: &mut UnixStream, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let count = stream
            .read(&mut buffer)
            .unwrap_or_else(|error| panic!("{error}: {text:?} not in {seen:?}"));
        assert!(count > 0, "{text:?} not in {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

pub(crate) fn type_in(stream: &mut UnixStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}
