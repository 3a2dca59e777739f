//! Terminals of the command line: handed to whoever listens on `--console-socket`.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::error::{Error, Result};

/// Sends a terminal's master over a stream socket, as runc does.
pub(super) fn hand_over(path: &str, master: &OwnedFd) -> Result<()> {
    let socket = UnixStream::connect(path)
        .map_err(Error::io(format!("connect to console socket {path}")))?;
    let socket = sys::socket::SeqPacket::from_fd(socket.into());
    socket
        .send(b"/dev/ptmx", &[master.as_fd()])
        .map_err(Error::io(format!("send terminal to {path}")))
}
