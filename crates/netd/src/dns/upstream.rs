//! Whom questions are passed on to: resolvers that a container was given, or the host's, read from its resolv.conf and again
//! when that has changed. Those that do not answer come last.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::protocol::View;

/// Resolvers that one query is taken to.
pub(crate) const SERVERS: usize = 3;
/// A longer file is none.
const MOST: u64 = 64 * 1024;
/// Between looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// How long one that did not answer is asked last.
const SULK: Duration = Duration::from_secs(30);

/// A resolver, and from where it is asked: 127.0.0.1 is another one in every namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Upstream {
    pub(crate) address: IpAddr,
    /// From inside this container; `None`: from the host.
    pub(crate) within: Option<Rc<str>>,
}

/// The host's resolvers, and who is silent.
#[derive(Debug)]
pub(crate) struct Upstreams {
    path: PathBuf,
    servers: Vec<IpAddr>,
    read: Option<(u64, i64, i64, u64)>,
    looked: Option<Instant>,
    silent: HashMap<Upstream, Instant>,
}

impl Upstreams {
    /// Of this file.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            servers: Vec::new(),
            read: None,
            looked: None,
            silent: HashMap::new(),
        }
    }

    /// Where a container's query goes, in this order: to those that it was given, from where it would ask them itself; else
    /// to the host's, unless it must not reach beyond its networks.
    pub(crate) fn order(
        &mut self,
        container: &Rc<str>,
        view: &View,
        now: Instant,
    ) -> Vec<Upstream> {
        let (addresses, within) = match &view.servers {
            Some(given) => (&given[..], Some(container)),
            None if view.internal => (&[][..], None),
            None => {
                self.look(now);
                (&self.servers[..], None)
            }
        };
        let upstream = |address: &IpAddr| Upstream {
            address: *address,
            within: within.cloned(),
        };
        let mut servers: Vec<Upstream> = addresses.iter().map(upstream).collect();
        servers.truncate(SERVERS);
        self.silent
            .retain(|_, since| now.duration_since(*since) < SULK);
        servers.sort_by_key(|server| self.silent.contains_key(server));
        servers
    }

    /// One has not answered.
    pub(crate) fn is_silent(&mut self, server: Upstream, now: Instant) {
        self.silent.insert(server, now);
    }

    /// One has answered.
    pub(crate) fn speaks(&mut self, server: &Upstream) {
        self.silent.remove(server);
    }

    fn look(&mut self, now: Instant) {
        if self
            .looked
            .is_some_and(|looked| now.duration_since(looked) < LOOK)
        {
            return;
        }
        self.looked = Some(now);
        let Ok(found) = fs::metadata(&self.path) else {
            return;
        };
        let stamp = (found.ino(), found.mtime(), found.mtime_nsec(), found.len());
        if self.read == Some(stamp) || found.len() > MOST {
            return;
        }
        if let Ok(text) = fs::read_to_string(&self.path) {
            self.servers = servers(&text);
            self.read = Some(stamp);
        }
    }
}

/// The name servers of a resolv.conf, each once.
fn servers(text: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        // A zone behind the address names an interface; without one such an address cannot be reached anyhow.
        let address = words.next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && !servers.contains(&address)
        {
            servers.push(address);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text = "# x\nnameserver 10.0.0.1\nsearch a b\nnameserver ::1\nnameserver 10.0.0.1\nnameserver x\noptions y\n";
        let expected: Vec<IpAddr> = ["10.0.0.1", "::1"].map(|text| text.parse().unwrap()).into();
        assert_eq!(servers(text), expected);
    }

    #[test]
    fn a_changed_file_is_followed_and_the_silent_come_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        fs::write(&path, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n").unwrap();
        let (mut upstreams, now) = (Upstreams::new(&path), Instant::now());
        let (container, view) = (Rc::from("1"), View::default());
        let [one, two] = ["10.0.0.1", "10.0.0.2"].map(|address| server(address, None));
        let both = [one.clone(), two.clone()];
        assert_eq!(upstreams.order(&container, &view, now), both);
        upstreams.is_silent(one.clone(), now);
        let turned = [two.clone(), one.clone()];
        assert_eq!(upstreams.order(&container, &view, now), turned);
        upstreams.speaks(&one);
        assert_eq!(upstreams.order(&container, &view, now), both);
        fs::write(&path, "nameserver 10.0.0.2\n").unwrap();
        assert_eq!(upstreams.order(&container, &view, now + LOOK), [two]);
    }

    #[test]
    fn servers_that_were_given_are_each_containers_own() {
        let (mut upstreams, now) = (Upstreams::new(Path::new("/dev/null")), Instant::now());
        let view = View {
            servers: Some(
                ["127.0.0.1", "10.0.0.1"]
                    .map(|text| text.parse().unwrap())
                    .into(),
            ),
            internal: true,
            ..View::default()
        };
        let of =
            |container| ["127.0.0.1", "10.0.0.1"].map(|address| server(address, Some(container)));
        upstreams.is_silent(server("127.0.0.1", Some("1")), now);
        let mut turned = of("1");
        turned.reverse();
        assert_eq!(upstreams.order(&Rc::from("1"), &view, now), turned);
        assert_eq!(upstreams.order(&Rc::from("2"), &view, now), of("2"));
    }

    fn server(address: &str, within: Option<&str>) -> Upstream {
        Upstream {
            address: address.parse().unwrap(),
            within: within.map(Rc::from),
        }
    }
}
