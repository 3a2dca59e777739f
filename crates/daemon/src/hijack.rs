//! A connection that stops being HTTP: attach and exec.
//!
//! ```text
//! handler: checks, returns Hijack { head, then }
//! connection: takes the socket from hyper (with what hyper had read ahead), writes the head, runs `then`
//! then: hands the socket to the engine, which hands it to the monitor
//! ```
//!
//! With `Upgrade` asked for, the head is `101 UPGRADED`; without, Docker answers `200 OK` and goes on raw: neither is
//! what hyper would write, so the head is written here and both take the same way.

use std::fmt;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::stream::Connection;

/// What becomes of the connection.
pub type Then = Box<dyn FnOnce(Wire) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A connection about to be taken from HTTP.
pub struct Hijack {
    /// Status line and headers.
    pub head: String,
    /// Who takes it.
    pub then: Then,
}

impl fmt::Debug for Hijack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijack")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// A connection after HTTP.
#[derive(Debug)]
pub struct Wire {
    /// The socket.
    pub connection: Arc<Connection>,
    /// What the client had sent already.
    pub early: Bytes,
}

impl Wire {
    /// A descriptor for someone else.
    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        self.connection.duplicate()
    }
}

/// The head that Docker answers: `upgrade` says whether the client asked for it, `framed` whether stdout and stderr are
/// kept apart and the client is new enough (1.42) to be told so.
pub fn head(upgrade: bool, framed: bool) -> String {
    let content_type = if upgrade && framed {
        api::stdcopy::MULTIPLEXED
    } else {
        api::stdcopy::RAW
    };
    if upgrade {
        format!(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn heads_are_dockers() {
        assert_eq!(
            head(true, true),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        );
        assert_eq!(
            head(false, true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        );
        assert!(head(true, false).contains("docker.raw-stream"));
    }
}
