//! A netd that is this very binary, started as an engine starts it, on loopback addresses of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::exit
)]

mod dns;
mod ports;
mod process;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netd::client::Client;
use netd::protocol::{Reply, Request};
use sys::spawn::Groups;

const ALL: &[testkit::harness::Test] = &[
    (
        "process::is_adopted_and_retired",
        process::is_adopted_and_retired,
    ),
    (
        "process::goes_away_without_work",
        process::goes_away_without_work,
    ),
    (
        "ports::relays_connections_each_way_alone",
        ports::relays_connections_each_way_alone,
    ),
    (
        "ports::an_idle_connection_has_its_two_sockets_alone",
        ports::an_idle_connection_has_its_two_sockets_alone,
    ),
    (
        "ports::connections_wait_while_descriptors_are_short",
        ports::connections_wait_while_descriptors_are_short,
    ),
    (
        "ports::a_flood_leaves_others_their_turn",
        ports::a_flood_leaves_others_their_turn,
    ),
    (
        "ports::relays_datagrams_to_each_client",
        ports::relays_datagrams_to_each_client,
    ),
    (
        "ports::resets_connections_of_a_container_that_ended",
        ports::resets_connections_of_a_container_that_ended,
    ),
    ("dns::answers_what_it_knows", dns::answers_what_it_knows),
    (
        "dns::a_shared_name_leads_to_each_of_its_owners",
        dns::a_shared_name_leads_to_each_of_its_owners,
    ),
    (
        "dns::a_view_without_sockets_is_no_server",
        dns::a_view_without_sockets_is_no_server,
    ),
    (
        "dns::passes_on_what_it_does_not_know",
        dns::passes_on_what_it_does_not_know,
    ),
    (
        "dns::asks_servers_that_were_given_from_inside_the_container",
        dns::asks_servers_that_were_given_from_inside_the_container,
    ),
    (
        "dns::takes_questions_by_connection",
        dns::takes_questions_by_connection,
    ),
    (
        "dns::survives_nonsense_and_a_flood",
        dns::survives_nonsense_and_a_flood,
    ),
];

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "netd") {
        std::process::exit(netd::main(&args[2..]));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let passed = testkit::harness::run(ALL, &arguments, |test| test());
    std::process::exit(i32::from(!passed));
}

/// A netd of a test's own, ended with it.
struct Netd {
    directory: tempfile::TempDir,
    client: Option<Client>,
}

impl Netd {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let executable = sys::memfd::own_executable().unwrap();
        let client = Client::spawn(directory.path(), &executable, &Groups::default()).unwrap();
        Self {
            directory,
            client: Some(client),
        }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    #[track_caller]
    fn done(&self, request: &Request, fds: &[OwnedFd]) {
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        assert_eq!(self.client().call(request, &fds).unwrap(), Reply::Done);
    }
}

impl Drop for Netd {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            client.bury();
        }
    }
}
