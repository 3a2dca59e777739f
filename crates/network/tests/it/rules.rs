//! What somebody else does to the rules, and that it is undone.

use std::process::Command;

use network::{Create, Opening, Protocol};

use crate::networks::{asked, join, with_option};
use crate::world::{config, on_host, open};

/// What nft says; nothing where there is no nft.
fn nft(words: &str) -> Option<String> {
    let output = Command::new("nft").args(words.split(' ')).output().ok()?;
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {failed}");
    String::from_utf8(output.stdout).ok()
}

/// All that there is, without its order: that of a set's elements is the kernel's.
fn words() -> Vec<String> {
    let listed = nft("list ruleset").unwrap_or_default();
    let words = listed.split(|c: char| c.is_whitespace() || c == ',');
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort();
    words
}

/// Networks of every kind that the rules know.
fn of_every_kind(opened: &crate::world::Opened) {
    let six = |create: Create| Create {
        enable_ipv6: Some(true),
        ..create
    };
    let mode = |name, mode| six(with_option(name, "bridge.gateway_mode_ipv4", mode));
    for create in [
        six(asked("red")),
        Create {
            internal: true,
            ..six(asked("inner"))
        },
        with_option("apart", "bridge.enable_icc", "false"),
        mode("routed", "routed"),
        mode("open", "nat-unprotected"),
    ] {
        opened.networks.create(create).unwrap();
    }
}

#[test]
fn elements_that_somebody_took_out_or_put_in_are_set_right() {
    if Command::new("nft").arg("--version").output().is_err() {
        return;
    }
    on_host(|| {
        let opened = open(config());
        of_every_kind(&opened);
        let member = join(&opened, &["routed"]);
        let opening = |address| Opening {
            address,
            protocol: Protocol::Tcp,
            port: 80,
        };
        let openings = member.endpoints[0].addresses().map(opening).collect();
        opened.networks.open_ports("c", || openings).unwrap();
        // What is whole stays: the numbers of all parts are the same.
        let numbered = nft("--handle list ruleset");
        opened.networks.keep_rules().unwrap();
        assert_eq!(nft("--handle list ruleset"), numbered);
        let before = words();
        for change in [
            "flush set inet corten0 bridges",
            "flush set inet corten0 closed",
            "flush set inet corten0 open",
            "flush set inet corten0 within",
            "flush set inet corten0 guard4",
            "flush set inet corten0 nat6",
            "flush set inet corten0 home4",
            "flush set inet corten0 home6",
            "flush set inet corten0 routed",
            "flush set inet corten0 published4",
            "add element inet corten0 closed { corten0 }",
            "add element inet corten0 nat4 { 192.0.2.0/24 }",
            "flush chain inet corten0 forward",
        ] {
            nft(change);
            assert_ne!(words(), before, "{change}");
            opened.networks.keep_rules().unwrap();
            assert_eq!(words(), before, "{change}");
        }
    });
}
