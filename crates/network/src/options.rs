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
                "bridge.default_bridge" if boolean(value) == Some(false) => {}
                "driver.mtu" => {
                    let mtu: u32 = value.parse().map_err(|_| wrong())?;
                    parsed.mtu = Some(mtu).filter(|mtu| *mtu > 0);
                }
                "bridge.gateway_mode_ipv4" => parsed.mode4 = mode(key, value, internal)?,
                "bridge.gateway_mode_ipv6" => parsed.mode6 = mode(key, value, internal)?,
                _ => return Err(Error::NotBuilt(format!("driver option {key}"))),
            }
        }
        Ok(parsed)
    }
}

fn mode(key: &str, value: &str, internal: bool) -> Result<GatewayMode> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::Unprotected),
        "isolated" if internal => Ok(GatewayMode::Isolated),
        "isolated" => Err(Error::Invalid(
            "gateway mode 'isolated' can only be used for an internal network".to_owned(),
        )),
        "routed" => Err(Error::NotBuilt(format!("driver option {key}={value}"))),
        other => Err(Error::Invalid(format!("unknown gateway mode {other}"))),
    }
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
                "bridge.inhibit_ipv4",
                "true",
                "driver option com.docker.network.bridge.inhibit_ipv4 is not implemented",
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
        let isolated = parse(&[("bridge.gateway_mode_ipv4", "isolated")], true);
        assert_eq!(isolated.unwrap().mode4, GatewayMode::Isolated);
    }
}
