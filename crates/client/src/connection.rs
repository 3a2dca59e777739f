//! One connection: bytes in, bytes out, and a buffer of what was read too far.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::{Error, Host};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to a host.
    pub async fn connect(host: &Host) -> Result<Self, Error> {
        let connected = match host {
            Host::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            Host::Tcp(address) => connect_tcp(address).await.map(Self::Tcp),
        };
        connected.map_err(|source| Error::Connect {
            host: host.to_string(),
            source,
        })
    }

    /// Whether the peer has neither hung up nor sent something nobody asked for.
    fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tcp(stream) => stream.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

async fn connect_tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A connection between requests.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    buffer: Vec<u8>,
    start: usize,
}

/// As much as is read in one go.
const CHUNK: usize = 32 * 1024;

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Whether another request may be sent on it.
    pub(crate) fn is_reusable(&self) -> bool {
        self.buffered().is_empty() && self.stream.is_quiet()
    }

    /// What has been read and not been consumed.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads once; false at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let before = self.buffer.len();
        self.buffer.reserve(CHUNK);
        Ok(self.stream.read_buf(&mut self.buffer).await? + before > before)
    }

    /// The next line without its end, of at most `limit` bytes.
    pub(crate) async fn line(&mut self, limit: usize) -> Result<String, Error> {
        loop {
            if let Some(end) = self.buffered().iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.buffered()[..end])
                    .trim_end_matches('\r')
                    .to_owned();
                self.consume(end + 1);
                return Ok(line);
            }
            if self.buffered().len() > limit {
                return Err(Error::Protocol("a line without end"));
            }
            if !self.fill().await? {
                return Err(Error::Protocol("it ended early"));
            }
        }
    }
}

/// A connection that left HTTP: a byte stream both ways.
#[derive(Debug)]
pub struct Hijacked {
    connection: Connection,
    /// The media type the daemon announced, which tells whether stdout and stderr come in frames.
    pub content_type: String,
}

impl Hijacked {
    pub(crate) fn new(connection: Connection, content_type: String) -> Self {
        Self {
            connection,
            content_type,
        }
    }

    /// Parts the stream into what comes and what goes.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let early = self.connection.buffered().to_vec();
        let (reader, writer) = tokio::io::split(self.connection.stream);
        (ReadHalf { early, reader }, WriteHalf { writer })
    }
}

/// What comes from the daemon.
#[derive(Debug)]
pub struct ReadHalf {
    early: Vec<u8>,
    reader: tokio::io::ReadHalf<Stream>,
}

impl ReadHalf {
    /// Appends what has arrived to `buffer`; 0 at the end of the stream.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if !self.early.is_empty() {
            let count = self.early.len();
            buffer.append(&mut self.early);
            return Ok(count);
        }
        buffer.reserve(CHUNK);
        self.reader.read_buf(buffer).await
    }
}

/// What goes to the daemon.
#[derive(Debug)]
pub struct WriteHalf {
    writer: tokio::io::WriteHalf<Stream>,
}

impl WriteHalf {
    /// Sends all of it.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Says that nothing more will come.
    pub async fn close(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }
}
