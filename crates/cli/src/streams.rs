//! Copies between the client's own streams and a container's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use api::stdcopy::{self, HEADER, Stream};
use client::{Hijacked, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use crate::report::{Failure, print_error};
use crate::terminal::Detacher;

/// What is connected to what.
#[derive(Debug)]
pub(crate) struct Wiring {
    /// The client's input goes to the container.
    pub(crate) stdin: bool,
    /// The container has a terminal: one unframed stream.
    pub(crate) tty: bool,
    /// The keys that detach; watched on a terminal only.
    pub(crate) detach_keys: Vec<u8>,
}

/// How copying came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The container's output ended.
    Finished,
    /// The user typed the detach keys.
    Detached,
}

/// Copies until the container's output ends or the user detaches.
pub(crate) async fn copy(hijacked: Hijacked, wiring: &Wiring) -> Result<End, Failure> {
    let (reader, writer) = hijacked.split();
    tokio::select! {
        copied = output(reader, wiring.tty) => {
            copied.map_err(|error| Failure::new(format!("copy the container's output: {error}")))?;
            Ok(End::Finished)
        }
        () = input(writer, wiring) => Ok(End::Detached),
    }
}

/// Copies the client's input; returns when the user detaches.
async fn input(mut writer: WriteHalf, wiring: &Wiring) {
    if wiring.stdin {
        let mut pieces = read_stdin();
        let mut detacher = Detacher::new(wiring.detach_keys.clone());
        while let Some(piece) = pieces.recv().await {
            let (piece, detached) = if wiring.tty {
                detacher.filter(&piece)
            } else {
                (piece, false)
            };
            if writer.write(&piece).await.is_err() {
                break;
            }
            if detached {
                return;
            }
        }
        drop(writer.close().await);
    }
    // Keep the connection's other half open: the end of the input is not the end of the output.
    std::future::pending::<()>().await;
}

/// Reads standard input on a thread of its own: what is at descriptor 0 may block in ways the event loop cannot watch.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, pieces) = mpsc::channel(4);
    let reader = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let Ok(fd) = io::stdin().as_fd().try_clone_to_owned() else {
                return;
            };
            let mut stdin = File::from(fd);
            let mut buffer = vec![0; 32 * 1024];
            loop {
                match stdin.read(&mut buffer) {
                    Ok(count @ 1..) if sender.blocking_send(buffer[..count].to_vec()).is_ok() => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => return,
                }
            }
        });
    if let Err(error) = reader {
        print_error(&format!("read standard input: {error}"));
    }
    pieces
}

async fn output(mut reader: ReadHalf, raw: bool) -> io::Result<()> {
    let mut sink = Sink::new()?;
    let mut buffer = Vec::new();
    while reader.read(&mut buffer).await? > 0 {
        if raw {
            sink.stdout.write_all(&buffer)?;
            buffer.clear();
        } else {
            let used = sink.frames(&buffer)?;
            buffer.drain(..used);
        }
    }
    Ok(())
}

/// The client's output streams, without a buffer of its own.
#[derive(Debug)]
pub(crate) struct Sink {
    stdout: File,
    stderr: File,
    /// The stream and the missing bytes of the frame at hand.
    current: Option<(Stream, usize)>,
}

impl Sink {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            stdout: File::from(io::stdout().as_fd().try_clone_to_owned()?),
            stderr: File::from(io::stderr().as_fd().try_clone_to_owned()?),
            current: None,
        })
    }

    /// Writes unframed output.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    /// Writes as much of framed output as is complete, parts of a frame included; returns the bytes used.
    pub(crate) fn frames(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let Some((stream, missing)) = self.current else {
                let Some(header) = rest.first_chunk::<HEADER>() else {
                    return Ok(used);
                };
                let (stream, length) = stdcopy::parse(*header).ok_or_else(|| {
                    io::Error::other(format!("Unrecognized input header: {}", header[0]))
                })?;
                self.current = Some((stream, usize::try_from(length).unwrap_or(usize::MAX)));
                used += HEADER;
                continue;
            };
            let take = missing.min(rest.len());
            match stream {
                Stream::Stdin | Stream::Stdout => self.stdout.write_all(&rest[..take])?,
                Stream::Stderr => self.stderr.write_all(&rest[..take])?,
                Stream::System => {
                    let message = String::from_utf8_lossy(&rest[..take]).into_owned();
                    return Err(io::Error::other(format!(
                        "error from daemon in stream: {message}"
                    )));
                }
            }
            used += take;
            self.current = (take < missing).then_some((stream, missing - take));
            if take < missing {
                return Ok(used);
            }
        }
    }
}
