//! A machine beside the host: a network namespace on a cable of its own, from which the host is seen as neighbours see it.

use std::process::Command;

use crate::Context;
use crate::command::{self, LIMIT, Output};

/// A network namespace with a name. Dropped, it is gone, with its interfaces.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, whatever an earlier run has left; its loopback is up.
    #[track_caller]
    pub(crate) fn add(name: &str) -> Self {
        let namespace = Self {
            name: name.to_owned(),
        };
        namespace.remove();
        run(Command::new("ip").args(["netns", "add", name]));
        namespace.ip("link set lo up");
        namespace
    }

    /// A command inside: of the rest of the machine it sees what all see.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name));
        command.arg(program);
        command
    }

    #[track_caller]
    fn ip(&self, words: &str) {
        run(self.command("ip").args(words.split(' ')));
    }

    fn remove(&self) {
        quietly(&["netns", "delete", &self.name]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The neighbour. Dropped, its namespace and its cable are gone.
#[derive(Debug)]
pub struct Outside {
    namespace: Namespace,
    cable: String,
    number: String,
}

impl Outside {
    /// Plugs a neighbour into the context's host, with a route to its containers through it, by both families.
    #[track_caller]
    pub fn plug(context: &Context) -> Self {
        let number = context
            .names()
            .bridge
            .trim_start_matches("cttest")
            .to_owned();
        let cable = format!("ctout{number}");
        quietly(&["link", "delete", &cable]);
        let outside = Self {
            namespace: Namespace::add(&format!("corten-test-{number}")),
            cable,
            number,
        };
        let (cable, name) = (outside.cable.as_str(), outside.namespace.name.as_str());
        let host = |words: &str| run(context.on_host("ip").args(words.split(' ')));
        host(&format!(
            "link add {cable} type veth peer name eth0 netns {name}"
        ));
        host(&format!("addr add {}/30 dev {cable}", outside.host()));
        host(&format!(
            "addr add {}/64 dev {cable} nodad",
            outside.host6()
        ));
        host(&format!("link set {cable} up"));
        let inside = |words: &str| outside.namespace.ip(words);
        inside(&format!("addr add {}/30 dev eth0", outside.address()));
        inside(&format!(
            "addr add {}/64 dev eth0 nodad",
            outside.address6()
        ));
        inside("link set eth0 up");
        inside(&format!("route add default via {}", outside.host()));
        inside(&format!("-6 route add default via {}", outside.host6()));
        outside
    }

    /// The host's end of the cable.
    pub fn cable(&self) -> &str {
        &self.cable
    }

    /// The host's address on the cable.
    pub fn host(&self) -> String {
        format!("10.218.{}.1", self.number)
    }

    /// The neighbour's own address.
    pub fn address(&self) -> String {
        format!("10.218.{}.2", self.number)
    }

    /// The host's IPv6 address on the cable.
    pub fn host6(&self) -> String {
        format!("fd9d:c0de:{}::1", self.number)
    }

    /// The neighbour's own IPv6 address.
    pub fn address6(&self) -> String {
        format!("fd9d:c0de:{}::2", self.number)
    }

    /// Asks the host for `path` at this port and returns what is told; the code is 0 if that is a page.
    ///
    /// # Panics
    /// Where the question takes a minute.
    #[track_caller]
    pub fn get(&self, host: &str, port: u16, path: &str) -> Output {
        // Not wget: a static program that looks up the port of "http" needs the C library's modules.
        let port = port.to_string();
        let mut command = self.command(&["busybox", "nc", "-w", "2", host, &port]);
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let asked = command::run_with(&mut command, request.as_bytes(), LIMIT);
        let is_page = asked
            .stdout
            .lines()
            .next()
            .is_some_and(|line| line.contains(" 200 "));
        Output {
            code: i32::from(!is_page),
            ..asked
        }
    }

    /// Runs a command on the neighbour.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        command::run(&mut self.command(words))
    }

    /// A command that runs on the neighbour.
    ///
    /// # Panics
    /// Without a word.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Command {
        let (program, rest) = words.split_first().expect("a program");
        let mut command = self.namespace.command(program);
        command.args(rest);
        command
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        quietly(&["link", "delete", &self.cable]);
    }
}

fn quietly(words: &[&str]) {
    _ = Command::new("ip")
        .args(words)
        .stderr(std::process::Stdio::null())
        .status();
}

#[track_caller]
fn run(command: &mut Command) {
    command::run(command).ok();
}
