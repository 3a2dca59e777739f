//! The way from the host's localhost to containers is open only where the reverse is closed.

use network::Config;
use sys::netlink::{ACK, CREATE, Message, Protocol, Socket};

use crate::networks::asked;
use crate::world::{Opened, config, on_host, open, open_in};

const NEW_TABLE: u16 = 0xa00;
const DELETE_TABLE: u16 = 0xa02;
const INET: u8 = 1;
const NAME: u16 = 1;
const FLAGS: u16 = 2;
/// The table is its maker's alone, as long as that has its socket.
const OWNER: u32 = 2;

/// Takes the daemon's table away, so that the kernel refuses its rules.
fn refuse_rules() -> Socket {
    let edge = |kind: u16| Message::new(kind, 0).raw(&[0, 0, 0, 10]); // of nf_tables
    let table = |kind: u16, flags: u16| {
        Message::new(kind, ACK | flags)
            .raw(&[INET, 0, 0, 0])
            .string(NAME, "corten0")
    };
    let socket = Socket::open(Protocol::Netfilter).unwrap();
    let taken = table(NEW_TABLE, CREATE).attribute(FLAGS, &OWNER.to_be_bytes());
    let batch = [edge(16), table(DELETE_TABLE, 0), taken, edge(17)];
    socket.transact(&batch).unwrap();
    socket
}

/// Whether the bridges of the two networks route 127/8.
fn routed(opened: &Opened) -> [bool; 2] {
    ["bridge", "red"].map(|network| {
        let network = opened.networks.find(network).unwrap();
        let bridge = network.bridge().unwrap().info().name;
        let path = format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet");
        std::fs::read_to_string(path).unwrap().trim() == "1"
    })
}

#[test]
fn localhost_is_routed_only_behind_rules_and_where_ports_are_translated() {
    on_host(|| {
        let opened = open(config());
        opened.networks.create(asked("red")).unwrap();
        assert_eq!(routed(&opened), [true; 2]);
        let relayed = Config {
            relayed: true,
            ..config()
        };
        let (opened, _) = open_in(opened.die(), relayed, &[]);
        assert_eq!(routed(&opened), [false; 2]);
        let (opened, _) = open_in(opened.die(), config(), &[]);
        assert_eq!(routed(&opened), [true; 2]);
        let _owner = refuse_rules();
        let (opened, warnings) = open_in(opened.die(), config(), &[]);
        assert!(
            warnings[0].starts_with("install nftables rules for corten0: "),
            "{warnings:?}"
        );
        assert_eq!(routed(&opened), [false; 2]);
    });
}

#[test]
fn a_bridge_that_was_deleted_routes_localhost_again() {
    on_host(|| {
        let opened = open(config());
        opened.networks.create(asked("red")).unwrap();
        crate::modes::ip("link delete corten0");
        opened.networks.keep_bridges().unwrap();
        assert_eq!(routed(&opened), [true; 2]);
    });
}
