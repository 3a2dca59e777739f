//! One more process in a running container.

use std::io::Read as _;
use std::os::fd::AsFd as _;

use runtime::plan::Process;
use runtime::{Error, Stage, Stdio, Target};
use sys::process::SingleThreaded;

use crate::Test;
use crate::bundle::{Bundle, output, strings};

pub(crate) const TESTS: &[Test] = &[
    ("execs::joins_everything", joins_everything),
    ("execs::fails_in_dockers_words", fails),
    ("execs::terminal", terminal),
];

struct Running {
    bundle: Bundle,
    started: runtime::Started,
}

fn running() -> Running {
    let bundle = Bundle::new("echo inside > /tmp/mark; sleep 100");
    let (created, _reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    while !bundle.root().join("tmp/mark").exists() {
        std::thread::yield_now();
    }
    Running { bundle, started }
}

impl Running {
    fn exec(
        &mut self,
        change: impl FnOnce(&mut oci::runtime::Process),
        stdio: Stdio,
    ) -> Result<runtime::Executed, Error> {
        change(self.bundle.process());
        let process = Process::compile(self.bundle.process()).unwrap();
        let group = self.bundle.plan().cgroup;
        let target = Target {
            pidfd: self.started.pidfd.as_fd(),
            cgroup: group.as_ref(),
            die_with_parent: true,
        };
        runtime::exec(&SingleThreaded::prove().unwrap(), target, &process, stdio)
    }
}

fn joins_everything() {
    let mut running = running();
    let (mut reader, stdio) = output();
    let script = "cat /tmp/mark; hostname; ls /sys/class/net; id -u; readlink /proc/self/ns/pid; readlink /proc/1/ns/pid; \
        grep -E '^Cap(Eff|Inh)' /proc/self/status; cat /proc/self/cgroup";
    let executed = running
        .exec(
            |process| {
                process.args = strings(&["sh", "-c", script]);
                process.oom_score_adj = Some(10);
            },
            stdio,
        )
        .unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(executed.pidfd.wait().unwrap().code(), 0, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["inside", "box", "lo", "0"], "{text}");
    assert_eq!(lines[4], lines[5]);
    assert!(text.contains("CapInh:\t0000000000000000\n"), "{text}");
    assert!(text.contains("CapEff:\t00000000a80425fb\n"), "{text}");
    let group = running.bundle.plan().cgroup.unwrap();
    for (controllers, _) in &group.v1 {
        assert!(
            text.contains(&format!(":{}:{}", controllers.join(","), group.path)),
            "{text}"
        );
    }
}

fn fails() {
    let mut running = running();
    let Err(Error::Failure(failure)) =
        running.exec(|process| process.args = strings(&["foo"]), output().1)
    else {
        panic!("it has started");
    };
    assert_eq!(failure.stage, Stage::NotFound);
    assert_eq!(
        failure.message,
        "exec: \"foo\": executable file not found in $PATH"
    );
    let Err(Error::Failure(failure)) = running.exec(
        |process| "/nowhere".clone_into(&mut process.cwd),
        output().1,
    ) else {
        panic!("it has started");
    };
    assert_eq!(failure.stage, Stage::WorkingDirectory);
}

fn terminal() {
    let mut running = running();
    let executed = running
        .exec(
            |process| {
                process.args = strings(&["sh", "-c", "tty; stty size"]);
                process.terminal = true;
            },
            Stdio::Terminal(Some((10, 20))),
        )
        .unwrap();
    let mut bytes = Vec::new();
    // The end of a terminal is EIO.
    std::fs::File::from(executed.terminal.unwrap())
        .read_to_end(&mut bytes)
        .ok();
    assert_eq!(String::from_utf8(bytes).unwrap(), "/dev/pts/0\r\n10 20\r\n");
    assert_eq!(executed.pidfd.wait().unwrap().code(), 0);
}
