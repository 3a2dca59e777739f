//! What can go wrong with a network.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use netd::protocol::Protocol;
use stdx::ErrorKind;
use sys::netlink::Refused;

/// The result of an operation on a network.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on a network failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a change.
    #[error("{what}: {source}")]
    Refused {
        /// What was attempted, and on what.
        what: String,
        /// The kernel's answer.
        source: Refused,
    },
    /// A file or namespace could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, and on what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The subnet has no address left.
    #[error("allocate an address in {subnet}: there is none left")]
    Exhausted {
        /// The bridge's subnet.
        subnet: IpNet,
    },
    /// The network has no address left.
    #[error("no available {family} addresses on this network's address pools: {network} ({id})")]
    NoAddress {
        /// IPv4 or IPv6.
        family: &'static str,
        /// The network's name.
        network: String,
        /// The network's id.
        id: String,
    },
    /// The address belongs to another endpoint.
    #[error("Address already in use")]
    AddressInUse {
        /// The address asked for.
        address: IpAddr,
    },
    /// The address lies outside the bridge's subnet, or is one that no container may have.
    #[error("claim address {address}: not a container address of {subnet}")]
    AddressOutside {
        /// The address asked for.
        address: IpAddr,
        /// The bridge's subnet.
        subnet: IpNet,
    },
    /// An interface of the bridge's name exists, but was made by someone else.
    #[error("open bridge {bridge}: an interface of that name exists and was not created by corten")]
    Foreign {
        /// The interface's name.
        bridge: String,
    },
    /// The name cannot be an interface's.
    #[error("open bridge {bridge:?}: not a valid interface name")]
    InvalidName {
        /// The name asked for.
        bridge: String,
    },
    /// The subnet asked for cannot serve a bridge.
    #[error("open bridge {bridge}: subnet {subnet} cannot be used: {reason}")]
    InvalidSubnet {
        /// The bridge.
        bridge: String,
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// Why not.
        reason: &'static str,
    },
    /// Another container has published the port.
    #[error("Bind for {host} failed: port is already allocated")]
    PortAllocated {
        /// The host's address and port.
        host: SocketAddr,
    },
    /// The host's port cannot be had.
    #[error("failed to bind host port for {host}:{target}/{}: {}", protocol.name(), reason(source))]
    PortTaken {
        /// The host's address and port.
        host: SocketAddr,
        /// The container's.
        target: SocketAddr,
        /// The transport.
        protocol: Protocol,
        /// The system's answer.
        source: io::Error,
    },
    /// The process that holds ports and answers queries refused something.
    #[error("netd: {why}")]
    Netd {
        /// Its words.
        why: String,
    },
    /// Every default subnet clashes with the host's own addresses or routes.
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnet,
    /// A subnet asked for is another network's, or the host's.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    Overlap,
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed by what it is about.
    #[error("{0}")]
    Forbidden(String),
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// The container has no place there.
    #[error("container {container} is not connected to network {network}")]
    Unconnected {
        /// The container's id.
        container: String,
        /// The network's name.
        network: String,
    },
    /// What was given out could not be noted.
    #[error("{0}")]
    Note(String),
    /// A valid request for something that is not built.
    #[error("{0} is not implemented")]
    NotBuilt(String),
    /// The host's kernel lacks what is needed.
    #[error("{0}")]
    Lacking(String),
    /// Something that the request names does not exist.
    #[error("{0}")]
    Missing(String),
    /// No network has that name or id.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// More than one network's id begins so.
    #[error("network {0} is ambiguous (2 matches found based on ID prefix)")]
    Ambiguous(String),
    /// The network has no open bridge.
    #[error("the network {network} is not available: {why}")]
    Closed {
        /// The network's name.
        network: String,
        /// Why it has none.
        why: String,
    },
    /// A record could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { source, .. } if source.is(1) => ErrorKind::Forbidden, // EPERM
            Self::Refused { .. }
            | Self::Io { .. }
            | Self::Unconnected { .. }
            | Self::Note(_)
            | Self::PortAllocated { .. }
            | Self::PortTaken { .. }
            | Self::Netd { .. } => ErrorKind::Internal,
            Self::Exhausted { .. } | Self::NoAddress { .. } | Self::Closed { .. } => {
                ErrorKind::Unavailable
            }
            Self::AddressInUse { .. } | Self::Overlap | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotBuilt(_) | Self::Lacking(_) => ErrorKind::Unsupported,
            Self::NoSuchNetwork(_) | Self::Missing(_) => ErrorKind::NotFound,
            Self::Store(error) => error.kind(),
            Self::Conflict(_) | Self::Foreign { .. } => ErrorKind::Conflict,
            Self::AddressOutside { .. }
            | Self::InvalidName { .. }
            | Self::InvalidSubnet { .. }
            | Self::NoSubnet
            | Self::Invalid(_)
            | Self::Ambiguous(_) => ErrorKind::Invalid,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn refused(what: impl Into<String>) -> impl FnOnce(Refused) -> Self {
        let what = what.into();
        move |source| Self::Refused { what, source }
    }
}

/// The reason alone, in the C library's words and Go's spelling: clients show and match it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}
