//! The options of a network's driver, as Docker's bridge and macvlan drivers name them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{Error, Result};

const PREFIX: &str = "com.docker.network.";

/// What the options of a bridge say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The interface's name.
    pub name: Option<String>,
    /// Containers may talk to one another.
    pub within: bool,
    /// Containers go out under the host's address.
    pub masquerade: bool,
    /// The MTU.
    pub mtu: Option<u32>,
    /// Where ports are published that name no address of the host.
    pub host_binding: Option<IpAddr>,
    /// The host has no IPv4 address on the bridge.
    pub inhibit_ipv4: bool,
    /// What the names of containers' interfaces begin with, if not `eth`.
    pub prefix: Option<String>,
    /// How the bridge's IPv4 subnet is reached.
    pub mode4: GatewayMode,
    /// How the bridge's IPv6 subnet is reached.
    pub mode6: GatewayMode,
}

/// How containers and the world reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatewayMode {
    /// Behind the host's address; neighbours reach published ports alone.
    #[default]
    Nat,
    /// Behind the host's address; neighbours who have a route reach everything.
    Unprotected,
    /// Under their own addresses; neighbours who have a route reach published ports alone, at the container's address.
    Routed,
    /// The host itself has no address there (internal networks only).
    Isolated,
}

impl Options {
    /// Reads options. Those that are not Docker's are kept and shown, as Docker does; those of Docker's that are not built
    /// are refused by name.
    pub fn parse(options: &BTreeMap<String, String>, internal: bool) -> Result<Self> {
        let mut parsed = Self {
            name: None,
            within: true,
            masquerade: true,
            mtu: None,
            host_binding: None,
            inhibit_ipv4: false,
            prefix: None,
            mode4: GatewayMode::default(),
            mode6: GatewayMode::default(),
        };
        for (key, value) in options {
            let Some(short) = key.strip_prefix(PREFIX) else {
                continue;
            };
            let wrong = || Error::Invalid(format!("invalid value for option {key}: {value}"));
            match short {
                "bridge.name" => {
                    parsed.name = Some(value.clone()).filter(|name| !name.is_empty());
                }
                "bridge.enable_icc" => parsed.within = boolean(value).ok_or_else(wrong)?,
                "bridge.enable_ip_masquerade" => {
                    parsed.masquerade = boolean(value).ok_or_else(wrong)?;
                }
                "bridge.host_binding_ipv4" => {
                    parsed.host_binding = Some(value.parse().map_err(|_| wrong())?);
                }
                "bridge.inhibit_ipv4" => parsed.inhibit_ipv4 = boolean(value).ok_or_else(wrong)?,
                "container_iface_prefix" => {
                    // A number of at most three digits follows.
                    check_interface(value, 12).map_err(|_| wrong())?;
                    parsed.prefix = Some(value.clone());
                }
                "bridge.default_bridge" if boolean(value) == Some(false) => {}
                "driver.mtu" => {
                    let mtu: u32 = value.parse().map_err(|_| wrong())?;
                    parsed.mtu = Some(mtu).filter(|mtu| *mtu > 0);
                }
                "bridge.gateway_mode_ipv4" => parsed.mode4 = mode(value, internal)?,
                "bridge.gateway_mode_ipv6" => parsed.mode6 = mode(value, internal)?,
                _ => return Err(Error::NotBuilt(format!("driver option {key}"))),
            }
        }
        Ok(parsed)
    }
}

fn mode(value: &str, internal: bool) -> Result<GatewayMode> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::Unprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" if internal => Ok(GatewayMode::Isolated),
        "isolated" => Err(Error::Invalid(
            "gateway mode 'isolated' can only be used for an internal network".to_owned(),
        )),
        other => Err(Error::Invalid(format!("unknown gateway mode {other}"))),
    }
}

/// A name that an interface may have.
fn check_interface(name: &str, longest: usize) -> Result<()> {
    let valid = !name.is_empty()
        && name.len() <= longest
        && !matches!(name, "." | ".." | "lo")
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && c != '/' && c != ':');
    if valid {
        return Ok(());
    }
    Err(Error::Invalid(format!("invalid interface name {name:?}")))
}

/// Options of one place on a network.
pub const PLACE_OPTIONS: [&str; 2] = [INTERFACE_NAME, SYSCTLS];
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// The name that the interface of a place is to have.
pub(crate) fn interface_name(place: &BTreeMap<String, String>) -> Result<Option<&str>> {
    let Some(name) = place.get(INTERFACE_NAME) else {
        return Ok(None);
    };
    check_interface(name, 15)?;
    Ok(Some(name))
}

/// Kernel settings of the interface of a place, which is called IFNAME in them: their names below `net/`, and values.
pub(crate) fn sysctls(
    place: &BTreeMap<String, String>,
    interface: &str,
) -> Result<Vec<(String, String)>> {
    let text = place.get(SYSCTLS).map_or("", String::as_str);
    let settings = text.split(',').filter(|setting| !setting.is_empty());
    let parsed = settings.map(|setting| {
        let wrong = || {
            Error::Invalid(format!(
                "invalid value for option {SYSCTLS}: {setting}: expected net.X.Y.IFNAME.Z=V"
            ))
        };
        let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
        let parts: Vec<&str> = name.split('.').collect();
        let plain = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match parts[..] {
            // docker's command line makes lower case of what it is given.
            ["net", family, kind, name, setting]
                if name.eq_ignore_ascii_case("IFNAME")
                    && [family, kind, setting].iter().all(plain) =>
            {
                Ok((
                    format!("{family}/{kind}/{interface}/{setting}"),
                    value.to_owned(),
                ))
            }
            _ => Err(wrong()),
        }
    });
    parsed.collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)], internal: bool) -> Result<Options> {
        let options = pairs.iter().map(|(key, value)| {
            let key = key
                .strip_prefix('-')
                .map_or_else(|| format!("{PREFIX}{key}"), str::to_owned);
            (key, (*value).to_owned())
        });
        Options::parse(&options.collect(), internal)
    }

    #[test]
    fn known_options_are_read_and_unknown_ones_of_docker_are_refused() {
        let options = parse(
            &[
                ("bridge.enable_icc", "false"),
                ("driver.mtu", "1400"),
                ("-mine", "x"),
            ],
            false,
        );
        let options = options.unwrap();
        assert_eq!((options.within, options.mtu), (false, Some(1400)));
        for (key, value, expect) in [
            (
                "bridge.trusted_host_interfaces",
                "eth0",
                "driver option com.docker.network.bridge.trusted_host_interfaces is not implemented",
            ),
            (
                "driver.mtu",
                "x",
                "invalid value for option com.docker.network.driver.mtu: x",
            ),
            (
                "bridge.gateway_mode_ipv4",
                "isolated",
                "gateway mode 'isolated' can only be used for an internal network",
            ),
            (
                "bridge.gateway_mode_ipv4",
                "odd",
                "unknown gateway mode odd",
            ),
        ] {
            assert_eq!(
                parse(&[(key, value)], false).unwrap_err().to_string(),
                expect
            );
        }
        assert!(parse(&[("container_iface_prefix", "a/b")], false).is_err());
        let isolated = parse(&[("bridge.gateway_mode_ipv4", "isolated")], true);
        assert_eq!(isolated.unwrap().mode4, GatewayMode::Isolated);
    }

    #[test]
    fn settings_of_a_places_interface_are_read() {
        let place = |text: &str| BTreeMap::from([(SYSCTLS.to_owned(), text.to_owned())]);
        let read = |text: &str| sysctls(&place(text), "eth0.7");
        assert_eq!(
            read("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2").unwrap(),
            [
                ("ipv4/conf/eth0.7/log_martians".to_owned(), "1".to_owned()),
                ("ipv6/conf/eth0.7/accept_ra".to_owned(), "2".to_owned())
            ]
        );
        for wrong in [
            "kernel.x=1",
            "net.ipv4.conf.eth0.log_martians=1",
            "net.ipv4.ip_forward=1",
            "net.ipv4.../.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
