//! What an engine is opened with. The daemon's `main` decides all of it; nothing here reads the environment.

use std::path::{Path, PathBuf};

pub use ipnet::Ipv4Net;
pub use network::AddressPool;

/// Where an engine keeps things and what it calls them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Survives a reboot: records, images, snapshots (`/var/lib/corten`).
    pub data_root: PathBuf,
    /// Gone at a reboot: monitors' sockets (`/run/corten`); on a tmpfs.
    pub exec_root: PathBuf,
    /// The default network's bridge.
    pub bridge: String,
    /// The bridge's address and subnet, if the user chose them.
    pub bip: Option<Ipv4Net>,
    /// The bridge's MTU, if the user chose it.
    pub mtu: Option<u32>,
    /// Where networks' subnets come from; empty: the default pools.
    pub address_pools: Vec<AddressPool>,
    /// Containers of the default bridge find the host's name (`host.docker.internal`) in their hosts files.
    pub host_in_hosts: bool,
    /// Published ports are relayed, so that the host's own input rules apply to them.
    pub host_firewall: bool,
    /// Control group below which containers and monitors live (`/corten`).
    pub cgroup_parent: String,
    /// How registries are reached.
    pub registries: image::remote::Options,
    /// The version to report.
    pub version: String,
    /// Abort the process at this step (`steps`): crash tests only.
    pub fail_at: Option<String>,
}

impl Config {
    /// The configuration for two roots, everything else derived: several engines on one machine do not disturb one another.
    pub fn for_roots(data_root: &Path, exec_root: &Path, version: &str) -> Self {
        let (bridge, cgroup_parent) = if exec_root == Path::new("/run/corten") {
            ("corten0".to_owned(), "/corten".to_owned())
        } else {
            let suffix = short_hash(exec_root.as_os_str().as_encoded_bytes());
            (format!("ct-{suffix}"), format!("/corten-{suffix}"))
        };
        Self {
            data_root: data_root.to_owned(),
            exec_root: exec_root.to_owned(),
            bridge,
            bip: None,
            mtu: None,
            address_pools: Vec::new(),
            host_in_hosts: true,
            host_firewall: false,
            cgroup_parent,
            registries: image::remote::Options::default(),
            version: version.to_owned(),
            fail_at: None,
        }
    }

    /// Where a container's record, exit and log are.
    pub fn state_dir(&self, id: &str) -> PathBuf {
        self.data_root.join("containers").join(id)
    }

    /// Where a container's monitor listens.
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.exec_root.join("containers").join(id)
    }
}

/// Six hex digits of FNV-1a: stable from release to release.
fn short_hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:06x}", (hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_derived_from_the_exec_root_unless_it_is_the_default() {
        let default =
            Config::for_roots(Path::new("/var/lib/corten"), Path::new("/run/corten"), "0");
        assert_eq!(
            (default.bridge.as_str(), default.cgroup_parent.as_str()),
            ("corten0", "/corten")
        );
        let other = Config::for_roots(Path::new("/tmp/a"), Path::new("/tmp/b"), "0");
        assert!(other.bridge.starts_with("ct-") && other.bridge.len() == 9);
        assert_eq!(other.cgroup_parent[8..], other.bridge[3..]);
    }
}
