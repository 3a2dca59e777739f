//! Where clients come in: `unix://`, `tcp://`, and `fd://` for sockets that systemd opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use sys::process::PidFd;
use tokio::net::{TcpListener, UnixListener};

use crate::stream::Socket;

/// How long a socket may still answer whose daemon is there, perhaps about to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same of one that is gone.
const PATIENCE_WITH_ORPHANS: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile: fewer times than connections may queue up that nobody accepts.
const TIMES: u32 = 100;
/// No such process.
const ESRCH: i32 = 3;

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `unix://PATH`.
    Unix(PathBuf),
    /// `tcp://HOST:PORT`.
    Tcp(String),
    /// `fd://`: all sockets that were handed over.
    Fd,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix://") {
            return Ok(Self::Unix(if path.is_empty() {
                PathBuf::from("/var/run/docker.sock")
            } else {
                path.into()
            }));
        }
        if text == "fd://" || text.starts_with("fd://") {
            return Ok(Self::Fd);
        }
        if let Some(rest) = text.strip_prefix("tcp://") {
            let with_port = if rest.contains(':') {
                rest.to_owned()
            } else {
                format!("{rest}:2375")
            };
            let host_given = if with_port.starts_with(':') {
                format!("localhost{with_port}")
            } else {
                with_port
            };
            return Ok(Self::Tcp(host_given));
        }
        Err(format!("invalid bind address ({text}): unsupported proto"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Fd => f.write_str("fd://"),
        }
    }
}

/// A socket that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; ours to remove, with its device and inode, if it has a path.
    Unix(UnixListener, Option<(PathBuf, (u64, u64))>),
    /// A TCP socket.
    Tcp(TcpListener, SocketAddr),
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(_, Some((path, _))) => write!(f, "{}", path.display()),
            Self::Unix(_, None) => f.write_str("an inherited socket"),
            Self::Tcp(_, address) => write!(f, "{address}"),
        }
    }
}

impl Listener {
    /// The next connection.
    pub async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// Removes the socket's name, if it is still this one's: from here on nobody new can connect.
    pub fn unlink(&self) {
        if let Self::Unix(_, Some((path, inode))) = self
            && identity(path).is_ok_and(|found| found == *inode)
        {
            // Gone already is as good.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Who may use a socket: the group by name, and whether it must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketGroup {
    /// A name of /etc/group or a number.
    pub name: String,
    /// The user chose it: an error if it does not exist.
    pub required: bool,
}

/// Listens on a unix socket: mode 0660, of that group. A socket that nobody listens on any more is replaced.
pub fn bind_unix(path: &Path, group: &SocketGroup) -> io::Result<Listener> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let listener = match std_unix::UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path)?;
            std_unix::UnixListener::bind(path)?
        }
        bound => bound?,
    };
    let inode = identity(path)?;
    match find_group(&group.name) {
        Some(gid) => std::os::unix::fs::chown(path, Some(0), Some(gid))?,
        None if group.required => {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("group {} not found", group.name),
            ));
        }
        None => tracing::debug!("no group {}: the socket is root's", group.name),
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(
        UnixListener::from_std(listener)?,
        Some((path.to_owned(), inode)),
    ))
}

/// Removes a socket that refuses connections; anything else that is there stays.
///
/// Asked more than once: a child that a killed daemon was about to execute holds its socket until it does, for more than half
/// a second on a slow machine.
fn remove_stale(path: &Path) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match std_unix::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return std::fs::remove_file(path);
            }
            Ok(stream) => {
                let patience = if owner_is_gone(&stream) {
                    PATIENCE_WITH_ORPHANS
                } else {
                    PATIENCE
                };
                if begun.elapsed() >= patience {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another daemon listens there",
                    ));
                }
                std::thread::sleep(patience / TIMES);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the process has ended that called listen(2): a connection carries its number (`SO_PEERCRED`, unix(7)).
fn owner_is_gone(stream: &std_unix::UnixStream) -> bool {
    let Ok(owner) = sys::socket::peer_credentials(stream.as_fd()) else {
        return false;
    };
    match PidFd::open(owner.pid) {
        Ok(process) => process.ends_within(Duration::ZERO).unwrap_or(false),
        Err(error) => error.raw_os_error() == Some(ESRCH),
    }
}

/// Listens on TCP.
pub async fn bind_tcp(address: &str) -> io::Result<Listener> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    Ok(Listener::Tcp(listener, local))
}

/// Takes a unix socket that was opened by someone else.
pub fn adopt_unix(listener: std_unix::UnixListener) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(UnixListener::from_std(listener)?, None))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A group's number by its name or as a number.
fn find_group(name: &str) -> Option<u32> {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let by_name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        fields.nth(1)?.parse().ok()
    });
    by_name.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests;
