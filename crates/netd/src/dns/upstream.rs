//! The host's resolvers: read from its resolv.conf, again when that has changed; those that do not answer come last.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Resolvers that one query is taken to.
pub(crate) const SERVERS: usize = 3;
/// A longer file is none.
const MOST: u64 = 64 * 1024;
/// Between looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// How long one that did not answer is asked last.
const SULK: Duration = Duration::from_secs(30);

/// The host's resolvers.
#[derive(Debug)]
pub(crate) struct Upstreams {
    path: PathBuf,
    servers: Vec<IpAddr>,
    read: Option<(u64, i64, i64, u64)>,
    looked: Option<Instant>,
    silent: HashMap<IpAddr, Instant>,
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

    /// Where a query goes, in this order: to those given, else to the host's.
    pub(crate) fn order(&mut self, given: Option<&[IpAddr]>, now: Instant) -> Vec<IpAddr> {
        let mut servers = match given {
            Some(given) => given.to_vec(),
            None => {
                self.look(now);
                self.servers.clone()
            }
        };
        servers.truncate(SERVERS);
        self.silent
            .retain(|_, since| now.duration_since(*since) < SULK);
        servers.sort_by_key(|server| self.silent.contains_key(server));
        servers
    }

    /// One has not answered.
    pub(crate) fn is_silent(&mut self, server: IpAddr, now: Instant) {
        self.silent.insert(server, now);
    }

    /// One has answered.
    pub(crate) fn speaks(&mut self, server: IpAddr) {
        self.silent.remove(&server);
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
        let [one, two]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        assert_eq!(upstreams.order(None, now), [one, two]);
        upstreams.is_silent(one, now);
        assert_eq!(upstreams.order(None, now), [two, one]);
        upstreams.speaks(one);
        assert_eq!(upstreams.order(None, now), [one, two]);
        fs::write(&path, "nameserver 10.0.0.2\n").unwrap();
        assert_eq!(upstreams.order(None, now + LOOK), [two]);
        assert_eq!(upstreams.order(Some(&[one]), now), [one]);
    }
}
