//! What is asked of networks and of places on them.

use super::*;

fn refused_pool(subnet: &str, range: &str, gateway: &str) -> String {
    let wire = NetworkCreate {
        name: "web".into(),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: subnet.into(),
                ip_range: range.into(),
                gateway: gateway.into(),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        }),
        ..NetworkCreate::default()
    };
    create(wire).map_or_else(|error| error.to_string(), |_| "ok".into())
}

#[test]
fn subnets_are_checked_in_dockers_words() {
    for (subnet, range, gateway, expect) in [
        ("10.1.0.0/16", "10.1.5.0/24", "10.1.5.254", "ok"),
        (
            "10.1",
            "",
            "",
            "invalid subnet 10.1: invalid CIDR block notation",
        ),
        (
            "10.1.2.0/16",
            "",
            "",
            "invalid subnet 10.1.2.0/16: it should be 10.1.0.0/16",
        ),
        (
            "10.1.0.0/16",
            "10.0.0.0/8",
            "",
            "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/16",
        ),
        (
            "10.1.0.0/16",
            "10.2.0.0/24",
            "",
            "invalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/16 doesn't contain ip-range",
        ),
        (
            "10.1.0.0/16",
            "fd00::/64",
            "",
            "invalid ip-range fd00::/64: parent subnet is an IPv4 block",
        ),
        (
            "10.1.0.0/16",
            "",
            "10.2.0.1",
            "invalid gateway 10.2.0.1: parent subnet 10.1.0.0/16 doesn't contain this address",
        ),
        ("10.1.0.0/16", "", "x", "invalid gateway x: invalid address"),
    ] {
        let said = refused_pool(subnet, range, gateway);
        let expect = if expect == "ok" {
            expect.to_owned()
        } else {
            format!("invalid network config:\n{expect}")
        };
        assert_eq!(said, expect);
    }
}

#[test]
fn what_is_not_built_of_a_network_is_refused_by_name() {
    let driver = |driver: &str| {
        let wire = NetworkCreate {
            driver: driver.into(),
            ..NetworkCreate::default()
        };
        create(wire).map_or_else(|error| error.to_string(), |_| "ok".into())
    };
    assert_eq!(driver("bridge"), "ok");
    assert_eq!(
        driver("overlay"),
        "network driver overlay is not implemented"
    );
    assert_eq!(
        driver("host"),
        "only one instance of \"host\" network is allowed"
    );
    assert!(driver("weave").contains("plugin \"weave\" not found"));
}

#[test]
fn wrong_places_are_refused() {
    let place = |four: &str, mac: &str| {
        let wire = EndpointSettings {
            mac_address: mac.into(),
            ipam_config: Some(api::network::EndpointIpamConfig {
                ipv4_address: four.into(),
                ..Default::default()
            }),
            ..EndpointSettings::default()
        };
        settings("x", &wire).map_or_else(|error| error.to_string(), |_| "ok".into())
    };
    assert_eq!(place("10.0.0.1", "02:42:AC:11:00:02"), "ok");
    assert_eq!(
        place("fd00::1", ""),
        "invalid endpoint settings:\ninvalid IPv4 address: fd00::1"
    );
    assert_eq!(place("", "nonsense"), "invalid MAC address nonsense");
}
