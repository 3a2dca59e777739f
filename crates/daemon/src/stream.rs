//! A client's connection, shared between hyper and whoever takes it over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

/// The socket of a connection.
#[derive(Debug)]
pub enum Socket {
    /// The usual one.
    Unix(UnixStream),
    /// `tcp://`.
    Tcp(TcpStream),
}

/// A connection. Reading and writing need no exclusive access, so hyper's half and a taker's can name the same one.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// Requests begun, and how many of them are being served.
    begun: AtomicU64,
    serving: AtomicU64,
    /// Whether a part of a request's head has come; told when it has.
    head_open: AtomicBool,
    head_begun: Notify,
}

/// A request that is being served: its answer has not begun, or its body has not ended.
#[derive(Debug)]
pub struct Serving(Arc<Connection>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Wraps an accepted socket.
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            begun: AtomicU64::new(0),
            serving: AtomicU64::new(0),
            head_open: AtomicBool::new(false),
            head_begun: Notify::new(),
        }
    }

    /// A request's head has been read; for as long as the value lives, bytes that come are its body.
    pub fn serve(self: &Arc<Self>) -> Arc<Serving> {
        self.head_open.store(false, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.serving.fetch_add(1, Ordering::Relaxed);
        Arc::new(Serving(Arc::clone(self)))
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed) > 0
    }

    /// Returns once the head of a request has taken longer than `limit` does to arrive.
    pub async fn slow_head<F: Future<Output = ()>>(&self, limit: impl Fn() -> F) {
        loop {
            self.head_begun.notified().await;
            let open = || self.head_open.load(Ordering::Relaxed);
            if !open() {
                continue;
            }
            let begun = self.begun.load(Ordering::Relaxed);
            limit().await;
            if open() && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }

    /// Returns once the client has closed both directions: a client that only ended its input still wants an answer.
    ///
    /// EPOLLHUP is reported whatever is asked for, so a second registration that asks for priority data alone is told of
    /// nothing else.
    pub async fn hung_up(&self) {
        #[expect(
            deprecated,
            reason = "the replacement is unsafe; an OwnedFd names the same open file for as long as it lives"
        )]
        let watched = self
            .duplicate()
            .and_then(|fd| AsyncFd::with_interest(fd, Interest::PRIORITY));
        if let Ok(fd) = watched {
            while let Ok(mut ready) = fd.ready(Interest::PRIORITY).await {
                if ready.ready().is_read_closed() {
                    return;
                }
                ready.clear_ready();
            }
        }
        std::future::pending::<()>().await;
    }

    /// Another descriptor of the same connection.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }

    /// Writes all of it.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::future::poll_fn(|cx| self.poll_write(cx, bytes)).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        Ok(())
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let written = match &self.socket {
                Socket::Unix(socket) => {
                    ready!(socket.poll_write_ready(cx))?;
                    socket.try_write(bytes)
                }
                Socket::Tcp(socket) => {
                    ready!(socket.poll_write_ready(cx))?;
                    socket.try_write(bytes)
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let read = match &self.socket {
                Socket::Unix(socket) => {
                    ready!(socket.poll_read_ready(cx))?;
                    socket.try_read(buffer.initialize_unfilled())
                }
                Socket::Tcp(socket) => {
                    ready!(socket.poll_read_ready(cx))?;
                    socket.try_read(buffer.initialize_unfilled())
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    buffer.advance(count);
                    if count > 0 && !self.is_serving() {
                        self.head_open.store(true, Ordering::Relaxed);
                        self.head_begun.notify_one();
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Unix(socket) => socket.as_fd(),
            Socket::Tcp(socket) => socket.as_fd(),
        }
    }
}

/// Hyper's half.
#[derive(Clone, Debug)]
pub struct Shared(pub Arc<Connection>);

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(sys::socket::shutdown_write(self.0.as_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_comes_behind_the_beginning_of_its_answer_is_no_slow_head() {
        let (socket, client) = UnixStream::pair().unwrap();
        let connection = Arc::new(Connection::new(Socket::Unix(socket)));
        let come = async || {
            client.writable().await.unwrap();
            assert_eq!(client.try_write(b"x").unwrap(), 1);
            let mut bytes = [0; 8];
            let mut buffer = ReadBuf::new(&mut bytes);
            std::future::poll_fn(|cx| connection.poll_read(cx, &mut buffer))
                .await
                .unwrap();
        };
        let slow = async || {
            let long = async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = connection.slow_head(tokio::task::yield_now) => true,
                () = long => false,
            }
        };
        come().await;
        let answer = connection.serve();
        let body = Arc::clone(&answer);
        drop(answer);
        come().await;
        assert!(!slow().await, "its body comes");
        drop(body);
        assert!(!slow().await, "its answer goes on");
        come().await;
        assert!(slow().await);
    }
}
