//! Networks beside an interface of the host (macvlan, ipvlan): what their options say, and the interface itself.
//!
//! The interface is the host's own and stays as it is; one that does not exist is made where its name says how
//! (`eth0.10`: VLAN 10 of eth0) or where nobody named one (a dummy, which leads nowhere). What was made is marked with the
//! network's alias and goes with its last network.

use std::collections::BTreeMap;

use sys::netlink::{Message, Socket};

use crate::link::{self, Link};
use crate::record::{Driver, Record};
use crate::{Error, Result};

/// EOPNOTSUPP: no such kind of interface.
const UNSUPPORTED: i32 = 95;

/// How containers hang on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each with a hardware address of its own.
    Macvlan(u32),
    /// All with the interface's.
    Ipvlan {
        /// Frames are passed by their addresses of layer 2 or 3.
        mode: u16,
        /// Who may talk to whom.
        flags: u16,
    },
}

impl Mode {
    const PASSTHRU: Self = Self::Macvlan(8);

    /// The kernel's word.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
        }
    }

    /// Containers route through the interface, without a gateway on its link.
    pub(crate) fn is_direct(self) -> bool {
        matches!(self, Self::Ipvlan { mode, .. } if mode > 0)
    }
}

/// What a network's options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The interface; none: containers reach one another alone.
    pub name: Option<String>,
    /// How containers hang on it.
    pub mode: Mode,
    /// The MTU; the interface's when none.
    pub mtu: Option<u32>,
}

impl Parent {
    /// Reads options, in Docker's words; others than Docker's are kept and shown.
    pub(crate) fn parse(driver: Driver, options: &BTreeMap<String, String>) -> Result<Self> {
        let text = |key: &str| options.get(key).map_or("", String::as_str);
        let invalid = |why: String| Err(Error::Invalid(why));
        let mode = if driver == Driver::Macvlan {
            match text("macvlan_mode") {
                "" | "bridge" => Mode::Macvlan(4),
                "private" => Mode::Macvlan(1),
                "vepa" => Mode::Macvlan(2),
                "passthru" => Mode::PASSTHRU,
                other => {
                    return invalid(format!(
                        "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
                    ));
                }
            }
        } else {
            let mode = match text("ipvlan_mode") {
                "" | "l2" => 0,
                "l3" => 1,
                "l3s" => 2,
                other => {
                    return invalid(format!(
                        "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
                    ));
                }
            };
            let flags = match text("ipvlan_flag") {
                "" | "bridge" => 0,
                "private" => 1,
                "vepa" => 2,
                other => {
                    return invalid(format!(
                        "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default flag"
                    ));
                }
            };
            Mode::Ipvlan { mode, flags }
        };
        let mut mtu = None;
        for (key, value) in options {
            match key.strip_prefix("com.docker.network.") {
                None => {}
                Some("driver.mtu") => {
                    let number = value.parse().map_err(|_| {
                        Error::Invalid(format!("invalid value for option {key}: {value}"))
                    })?;
                    mtu = Some(number).filter(|number| *number > 0);
                }
                Some(_) => return Err(Error::NotBuilt(format!("driver option {key}"))),
            }
        }
        let name = Some(text("parent").to_owned()).filter(|name| !name.is_empty());
        if name.as_deref() == Some("lo") {
            return invalid(format!(
                "loopback interface is not a valid {} parent link",
                mode.kind()
            ));
        }
        Ok(Self { name, mode, mtu })
    }

    /// Of a network that has one.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        match record.driver {
            driver @ (Driver::Macvlan | Driver::Ipvlan) => {
                Self::parse(driver, &record.options).ok()
            }
            _ => None,
        }
    }

    /// The interface's name; one that nobody named is called as Docker calls it.
    pub(crate) fn interface(&self, network_id: &str) -> String {
        let dummy = || format!("dm-{}", network_id.get(..12).unwrap_or(network_id));
        self.name.clone().unwrap_or_else(dummy)
    }

    /// An interface in passthru mode is one network's alone.
    pub(crate) fn check_others<'a>(&self, others: impl Iterator<Item = &'a Record>) -> Result<()> {
        for other in others {
            let Some(parent) = Self::of(other).filter(|other| other.name == self.name) else {
                continue;
            };
            let (Some(name), other) = (&self.name, &other.name) else {
                continue;
            };
            if self.mode == Mode::PASSTHRU {
                return Err(Error::Forbidden(format!(
                    "cannot use mode passthru, macvlan network {other} is using parent interface {name}"
                )));
            }
            if parent.mode == Mode::PASSTHRU {
                return Err(Error::Forbidden(format!(
                    "macvlan network {other} is using parent interface {name} in mode passthru"
                )));
            }
        }
        Ok(())
    }
}

/// The interface of this name, made if it has to be.
pub(crate) fn set_up(socket: &Socket, parent: &Parent, name: &str, alias: &str) -> Result<Link> {
    check_kernel(socket, parent.mode)?;
    if let Some(link) = find(socket, name)? {
        return Ok(link);
    }
    let (message, kind) = if parent.name.is_none() {
        (link::new_dummy(name), "dummy")
    } else {
        let (base, id) = vlan(name)?;
        let base = find(socket, base)?.ok_or_else(|| {
            Error::Invalid(format!(
                "-o parent interface does was not found on the host: {base}"
            ))
        })?;
        (link::new_vlan(name, base.index, id), "vlan")
    };
    make(socket, name, alias, message, kind)?;
    find(socket, name)?
        .ok_or_else(|| Error::io(format!("look up {name}"))(std::io::ErrorKind::NotFound.into()))
}

/// Takes away an interface that was made for networks of this alias; the host's own stays.
pub(crate) fn remove(socket: &Socket, name: &str, alias: &str) -> Result<()> {
    let Some(link) = find(socket, name)?.filter(|link| link.alias == alias) else {
        return Ok(());
    };
    match socket.transact(&[link::delete(link.index)]) {
        Err(refused) if !refused.missing() => {
            Err(Error::refused(format!("delete interface {name}"))(refused))
        }
        _ => Ok(()),
    }
}

fn find(socket: &Socket, name: &str) -> Result<Option<Link>> {
    link::find(socket, name).map_err(Error::refused(format!("look up {name}")))
}

fn make(socket: &Socket, name: &str, alias: &str, message: Message, kind: &str) -> Result<()> {
    match socket.transact(&[message, link::set_alias(name, alias)]) {
        Err(refused) if refused.is(UNSUPPORTED) => Err(lacking(&format!("create {name}"), kind)),
        other => other.map_err(Error::refused(format!("create {kind} interface {name}"))),
    }
}

fn lacking(what: &str, kind: &str) -> Error {
    Error::Lacking(format!("{what}: the kernel has no {kind} interfaces"))
}

/// Asks for an interface that cannot be: a kernel that has the kind says that its parent does not exist.
fn check_kernel(socket: &Socket, mode: Mode) -> Result<()> {
    let nobody = i32::MAX.unsigned_abs();
    match socket.transact(&[link::new_beside("probe", nobody, mode, None)]) {
        Err(refused) if refused.is(UNSUPPORTED) => {
            let kind = mode.kind();
            Err(lacking(&format!("network driver {kind}"), kind))
        }
        _ => Ok(()),
    }
}

/// `eth0.10`: an interface and a VLAN's number, in Docker's words.
fn vlan(name: &str) -> Result<(&str, u16)> {
    let invalid = |why: String| Err(Error::Invalid(why));
    let Some((base, id)) = name.split_once('.') else {
        return invalid(format!(
            "invalid subinterface vlan name {name}, example formatting is eth0.10"
        ));
    };
    if id.contains('.') {
        return invalid(format!(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
        ));
    }
    let Ok(number) = id.parse::<i64>() else {
        return invalid(format!(
            "unable to parse a valid vlan id from: {id} (ex. eth0.10 for vlan 10)"
        ));
    };
    match u16::try_from(number) {
        Ok(number @ 1..=4094) => Ok((base, number)),
        _ => invalid(format!(
            "vlan id must be between 1-4094, received: {number}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(driver: Driver, pairs: &[(&str, &str)]) -> Result<Parent> {
        let pairs = pairs.iter();
        let options = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Parent::parse(driver, &options.collect())
    }

    #[test]
    fn options_are_read_in_dockers_words() {
        let found = parse(
            Driver::Macvlan,
            &[("parent", "eth0"), ("macvlan_mode", "vepa")],
        );
        let found = found.unwrap();
        assert_eq!(
            (found.name.as_deref(), found.mode),
            (Some("eth0"), Mode::Macvlan(2))
        );
        let l3 = parse(Driver::Ipvlan, &[("ipvlan_mode", "l3s")]).unwrap();
        assert!(l3.mode.is_direct() && l3.name.is_none());
        assert_eq!(l3.interface("0123456789abcdef"), "dm-0123456789ab");
        for (driver, key, value, expect) in [
            (
                Driver::Macvlan,
                "macvlan_mode",
                "x",
                "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
            ),
            (
                Driver::Ipvlan,
                "ipvlan_mode",
                "l4",
                "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
            ),
            (
                Driver::Macvlan,
                "parent",
                "lo",
                "loopback interface is not a valid macvlan parent link",
            ),
        ] {
            let error = parse(driver, &[(key, value)]).unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
    }

    #[test]
    fn a_vlan_is_named_by_its_interface_and_number() {
        assert_eq!(vlan("eth0.10").unwrap(), ("eth0", 10));
        for (name, expect) in [
            (
                "eth0",
                "invalid subinterface vlan name eth0, example formatting is eth0.10",
            ),
            (
                "eth0.x",
                "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
            ),
            (
                "eth0.4095",
                "vlan id must be between 1-4094, received: 4095",
            ),
        ] {
            assert_eq!(vlan(name).unwrap_err().to_string(), expect);
        }
    }
}
