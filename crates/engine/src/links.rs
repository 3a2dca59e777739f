//! `--link` on the default bridge: what a container calls others there, in its hosts file and its environment, as Docker
//! makes them. On networks that somebody made, links are names for the resolver ([`crate::naming`]).
//!
//! A link belongs to its target's id from the container's creation on: the target may be renamed, and when it is started
//! again with another address, the hosts files of those that link to it follow. Variables stay as they were at the start.

use std::net::IpAddr;
use std::sync::Arc;

use network::{Endpoint, Protocol};

use crate::container::Published;
use crate::container::spec::NetworkMode;
use crate::ops::container::start::etc;
use crate::{Engine, Error, Result, ports};

const DEFAULT_BRIDGE: &str = "bridge";

/// A running container and what it is called.
pub(crate) struct Link {
    alias: String,
    target: Arc<Published>,
}

/// `name:alias`; an alias may be written with the name of who links before it, as `inspect` shows it.
fn split(link: &str) -> (&str, &str) {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    (name.trim_start_matches('/'), alias)
}

/// Links as they are kept: the ids of containers that exist.
pub(crate) fn resolve(engine: &Engine, links: &mut [String]) -> Result<()> {
    for link in links {
        let (name, alias) = split(link);
        let target = engine.containers.find(name).map_err(|_| {
            Error::Invalid(format!(
                "could not get container for {name}: No such container: {name}"
            ))
        })?;
        if target.now().record.spec.network == NetworkMode::Host {
            return Err(Error::Invalid(
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
                    .to_owned(),
            ));
        }
        *link = format!("{}:{alias}", target.id);
    }
    Ok(())
}

/// A container's links, as `inspect` shows them.
pub fn shown(engine: &Engine, now: &Published) -> Vec<String> {
    let targets = targets(engine, now);
    let shown = targets.map(|(alias, target)| format!("/{}:/{}/{alias}", target.name, now.name));
    shown.collect()
}

/// A target that was removed is no target any more, as in Docker.
fn targets<'a>(
    engine: &'a Engine,
    now: &'a Published,
) -> impl Iterator<Item = (&'a str, Arc<Published>)> {
    now.record.spec.links.iter().filter_map(|link| {
        let (id, alias) = split(link);
        Some((alias, engine.containers.find(id).ok()?.now()))
    })
}

/// The links of a container that is to be started; all their targets must run.
pub(crate) fn at_start(engine: &Engine, now: &Published) -> Result<Vec<Link>> {
    let link = |(alias, target): (&str, Arc<Published>)| {
        if !target.state.is_running() {
            return Err(Error::Conflict(format!(
                "Cannot link to a non running container: /{} AS /{}/{alias}",
                target.name, now.name
            )));
        }
        if place(&target.endpoints).is_none() {
            return Err(Error::Conflict(format!(
                "Cannot link to /{}, as it does not belong to the default network",
                target.name
            )));
        }
        Ok(Link {
            alias: alias.to_owned(),
            target,
        })
    };
    targets(engine, now).map(link).collect()
}

fn place(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    endpoints.iter().find(|one| one.network == DEFAULT_BRIDGE)
}

/// The variables of a container that runs, for what is executed in it; those of targets that do not run are missing.
pub(crate) fn variables_now(engine: &Engine, now: &Published) -> Vec<String> {
    let running = targets(engine, now).filter(|(_, target)| place(&target.endpoints).is_some());
    let links = running.map(|(alias, target)| Link {
        alias: alias.to_owned(),
        target,
    });
    links.flat_map(|link| link.variables(now)).collect()
}

impl Link {
    /// The lines of the hosts file: names and an address each.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (String, String)> {
        let (names, target) = (self.names(), &self.target);
        let addresses = place(&target.endpoints)
            .into_iter()
            .flat_map(Endpoint::addresses);
        addresses.map(move |address| (names.clone(), address.to_string()))
    }

    /// By its alias, its host name and its name.
    fn names(&self) -> String {
        let (alias, name) = (&self.alias, self.target.name.as_str());
        let names = own_names(alias, &self.target);
        if alias == name {
            names
        } else {
            format!("{names} {name}")
        }
    }

    /// `ALIAS_PORT=tcp://172.17.0.5:80` and so on: where its exposed ports are, and its own variables.
    pub(crate) fn variables(&self, now: &Published) -> Vec<String> {
        let alias = self.alias.to_uppercase().replace('-', "_");
        let address = place(&self.target.endpoints)
            .and_then(|endpoint| endpoint.addresses().next())
            .map_or_else(String::new, |address| address.to_string());
        let effective = &self.target.record.effective;
        let exposed = effective.exposed_ports.iter();
        let ports = exposed.filter_map(|text| ports::parse(text)).collect();
        let mut variables = of_ports(&alias, &address, ports);
        variables.push(format!("{alias}_NAME=/{}/{}", now.name, self.alias));
        for (name, value) in effective.env.iter().filter_map(|one| one.split_once('=')) {
            // Every image has them, and they say nothing about what it serves.
            if name != "HOME" && name != "PATH" {
                variables.push(format!("{alias}_ENV_{name}={value}"));
            }
        }
        variables
    }
}

fn own_names(alias: &str, target: &Published) -> String {
    format!("{alias} {}", target.record.effective.hostname)
}

/// Where ports are, TCP before the others; neighbours are told as a range, too.
fn of_ports(alias: &str, address: &str, mut ports: Vec<(u16, Protocol)>) -> Vec<String> {
    ports.sort_by_key(|(number, protocol)| (*protocol != Protocol::Tcp, protocol.name(), *number));
    let mut variables = Vec::new();
    let url =
        |(number, protocol): (u16, Protocol)| format!("{}://{address}:{number}", protocol.name());
    let prefix = |(number, protocol): (u16, Protocol)| {
        format!("{alias}_PORT_{number}_{}", protocol.name().to_uppercase())
    };
    if let Some(first) = ports.first() {
        variables.push(format!("{alias}_PORT={}", url(*first)));
    }
    let follows = |(a, b): (&(u16, Protocol), &(u16, Protocol))| {
        a.1 == b.1 && a.0.checked_add(1) == Some(b.0)
    };
    for group in ports.chunk_by(|a, b| follows((a, b))) {
        for port in group {
            let prefix = prefix(*port);
            variables.push(format!("{prefix}={}", url(*port)));
            variables.push(format!("{prefix}_ADDR={address}"));
            variables.push(format!("{prefix}_PORT={}", port.0));
            variables.push(format!("{prefix}_PROTO={}", port.1.name()));
        }
        if let [first, .., last] = group {
            let prefix = prefix(*first);
            variables.push(format!("{prefix}_START={}", url(*first)));
            variables.push(format!("{prefix}_PORT_START={}", first.0));
            variables.push(format!("{prefix}_END={}", url(*last)));
            variables.push(format!("{prefix}_PORT_END={}", last.0));
        }
    }
    variables
}

/// A container is started with these places: the hosts files of those that run and link to it lead there.
pub(crate) fn follow(engine: &Engine, target: &Published, endpoints: &[Endpoint]) {
    let Some(place) = place(endpoints) else {
        return;
    };
    let addresses: Vec<IpAddr> = place.addresses().collect();
    for other in engine.containers.all() {
        let links = other.record.spec.links.iter().map(|link| split(link));
        for (id, alias) in links.filter(|_| other.state.is_running()) {
            if id != target.id() {
                continue;
            }
            let Ok(container) = engine.containers.find(other.id()) else {
                continue;
            };
            let names = own_names(alias, target);
            if let Err(error) = etc::move_hosts(&container, &names, &addresses) {
                tracing::warn!(container = %container.id, %error, "let a link follow its target");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_one_by_one_and_neighbours_as_a_range() {
        let told = of_ports(
            "DB",
            "10.0.0.2",
            vec![
                (53, Protocol::Udp),
                (81, Protocol::Tcp),
                (80, Protocol::Tcp),
            ],
        );
        assert_eq!(
            told,
            [
                "DB_PORT=tcp://10.0.0.2:80",
                "DB_PORT_80_TCP=tcp://10.0.0.2:80",
                "DB_PORT_80_TCP_ADDR=10.0.0.2",
                "DB_PORT_80_TCP_PORT=80",
                "DB_PORT_80_TCP_PROTO=tcp",
                "DB_PORT_81_TCP=tcp://10.0.0.2:81",
                "DB_PORT_81_TCP_ADDR=10.0.0.2",
                "DB_PORT_81_TCP_PORT=81",
                "DB_PORT_81_TCP_PROTO=tcp",
                "DB_PORT_80_TCP_START=tcp://10.0.0.2:80",
                "DB_PORT_80_TCP_PORT_START=80",
                "DB_PORT_80_TCP_END=tcp://10.0.0.2:81",
                "DB_PORT_80_TCP_PORT_END=81",
                "DB_PORT_53_UDP=udp://10.0.0.2:53",
                "DB_PORT_53_UDP_ADDR=10.0.0.2",
                "DB_PORT_53_UDP_PORT=53",
                "DB_PORT_53_UDP_PROTO=udp",
            ]
        );
        assert_eq!(of_ports("DB", "10.0.0.2", Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn an_alias_is_what_stands_last() {
        assert_eq!(split("db"), ("db", "db"));
        assert_eq!(split("db:store"), ("db", "store"));
        assert_eq!(split("/db:/web/store"), ("db", "store"));
    }
}
