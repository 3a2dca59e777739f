//! A machine beside the host: a network namespace on a cable of its own, from which the host is seen as neighbours see it.

use std::process::Command;

use crate::Context;
use crate::command::{self, Output};

/// The neighbour. Dropped, its namespace and its cable are gone.
#[derive(Debug)]
pub struct Outside {
    name: String,
    cable: String,
    number: String,
}

impl Outside {
    /// Plugs a neighbour into the host, with a route to the context's containers through it.
    #[track_caller]
    pub fn plug(context: &Context) -> Self {
        let number = context
            .names()
            .bridge
            .trim_start_matches("cttest")
            .to_owned();
        let outside = Self {
            name: format!("corten-test-{number}"),
            cable: format!("ctout{number}"),
            number,
        };
        outside.remove();
        ip(&["netns", "add", &outside.name]);
        let (cable, name) = (outside.cable.as_str(), outside.name.as_str());
        ip(&[
            "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name,
        ]);
        ip(&[
            "addr",
            "add",
            &format!("{}/30", outside.host()),
            "dev",
            cable,
        ]);
        ip(&["link", "set", cable, "up"]);
        outside.ip(&[
            "addr",
            "add",
            &format!("{}/30", outside.address()),
            "dev",
            "eth0",
        ]);
        outside.ip(&["link", "set", "lo", "up"]);
        outside.ip(&["link", "set", "eth0", "up"]);
        outside.ip(&["route", "add", "default", "via", &outside.host()]);
        outside
    }

    /// The host's address on the cable.
    pub fn host(&self) -> String {
        format!("10.218.{}.1", self.number)
    }

    /// The neighbour's own address.
    pub fn address(&self) -> String {
        format!("10.218.{}.2", self.number)
    }

    /// Runs a command on the neighbour.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        command::run(&mut self.command(words))
    }

    /// A command that runs on the neighbour.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words);
        command
    }

    #[track_caller]
    fn ip(&self, words: &[&str]) {
        ip(&[&["-n", self.name.as_str()], words].concat());
    }

    fn remove(&self) {
        for words in [
            ["link", "delete", self.cable.as_str()],
            ["netns", "delete", self.name.as_str()],
        ] {
            _ = Command::new("ip")
                .args(words)
                .stderr(std::process::Stdio::null())
                .status();
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.remove();
    }
}

#[track_caller]
fn ip(words: &[&str]) {
    command::run(Command::new("ip").args(words)).ok();
}
