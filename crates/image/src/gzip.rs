//! Gzip on all processors: the same bytes every time, however many there are.
//!
//! The stream is cut into pieces, and each is a member of its own: readers of gzip take one after the other, as they do
//! where files were compressed and then joined. A compressor of whole pieces is twice as fast as one of streams.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// More threads would wait for the disk.
const MAX_THREADS: usize = 4;
/// The default level takes half more time for two hundredths of the length.
const LEVEL: i32 = 1;

/// A thread that compresses one piece after the other.
struct Worker {
    pieces: SyncSender<Vec<u8>>,
    packed: Receiver<io::Result<Vec<u8>>>,
}

/// Compresses all of `from`.
pub(crate) fn compress(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let mut workers = VecDeque::new();
        for _ in 0..threads.min(MAX_THREADS) {
            let (pieces, incoming) = sync_channel::<Vec<u8>>(1);
            let (outgoing, packed) = sync_channel(1);
            let level = CompressionLvl::new(LEVEL)
                .map_err(|_| io::Error::other(format!("gzip has no level {LEVEL}")))?;
            thread::Builder::new()
                .name("compress".to_owned())
                .spawn_scoped(scope, move || {
                    let mut packer = Compressor::new(level);
                    for piece in incoming {
                        // Whoever wants the pieces has gone where a send fails.
                        if outgoing.send(pack(&mut packer, &piece)).is_err() {
                            return;
                        }
                    }
                })?;
            workers.push_back(Worker { pieces, packed });
        }
        stream(from, to, workers)
    })
}

/// Hands out the pieces in turn and takes them back in the same order.
fn stream(from: &mut impl Read, to: &mut impl Write, mut idle: VecDeque<Worker>) -> io::Result<()> {
    let mut busy: VecDeque<Worker> = VecDeque::new();
    let mut begun = false;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        from.take(PIECE as u64).read_to_end(&mut piece)?;
        // Nothing at all is one empty piece.
        if piece.is_empty() && begun {
            break;
        }
        begun = true;
        let worker = match idle.pop_front() {
            Some(worker) => worker,
            None => match busy.pop_front() {
                Some(worker) => {
                    to.write_all(&worker.take()?)?;
                    worker
                }
                None => return Err(io::Error::other("no thread compresses")),
            },
        };
        worker.pieces.send(piece).map_err(io::Error::other)?;
        busy.push_back(worker);
    }
    busy.into_iter()
        .try_for_each(|worker| to.write_all(&worker.take()?))
}

impl Worker {
    /// The piece that it was given, compressed.
    fn take(&self) -> io::Result<Vec<u8>> {
        self.packed.recv().map_err(io::Error::other)?
    }
}

fn pack(packer: &mut Compressor, piece: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = vec![0; packer.gzip_compress_bound(piece.len())];
    let length = packer
        .gzip_compress(piece, &mut packed)
        .map_err(|error| io::Error::other(error.to_string()))?;
    packed.truncate(length);
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        compress(&mut &plain[..], &mut packed).unwrap();
        packed
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_was_compressed_comes_back_as_it_was() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 12_345] {
            let text: Vec<u8> = (0..=u32::try_from(length / 4).unwrap())
                .flat_map(u32::to_le_bytes)
                .take(length)
                .collect();
            for plain in [text, noise(length)] {
                let mut back = Vec::new();
                flate2::read::MultiGzDecoder::new(&packed(&plain)[..])
                    .read_to_end(&mut back)
                    .unwrap();
                assert!(back == plain, "{length} bytes");
            }
        }
    }

    #[test]
    fn it_is_the_same_every_time() {
        let plain = [noise(2 * PIECE), vec![7; 3 * PIECE]].concat();
        assert!(packed(&plain) == packed(&plain));
    }

    #[test]
    fn a_reader_that_fails_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        assert!(compress(&mut Broken, &mut io::sink()).is_err());
    }
}
