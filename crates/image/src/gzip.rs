//! Gzip on all processors: the same bytes every time, however many there are.
//!
//! The stream is cut into pieces that are compressed each for itself and end on a byte, so that they follow one another in
//! one member. The price is less than a hundredth of the length.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// More threads would wait for the disk.
const MAX_THREADS: usize = 4;
/// The default level takes two thirds more time for seven hundredths of the length.
const LEVEL: u32 = 2;

/// Deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block.
const END: [u8; 2] = [3, 0];

/// One piece on its way.
struct Packed {
    bytes: Vec<u8>,
    sum: Crc,
}

/// A thread that compresses one piece after the other.
struct Worker {
    pieces: SyncSender<Vec<u8>>,
    packed: Receiver<io::Result<Packed>>,
}

/// Compresses all of `from`.
pub(crate) fn compress(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let mut workers = VecDeque::new();
        for _ in 0..threads.min(MAX_THREADS) {
            let (pieces, incoming) = sync_channel::<Vec<u8>>(1);
            let (outgoing, packed) = sync_channel(1);
            thread::Builder::new()
                .name("compress".to_owned())
                .spawn_scoped(scope, move || {
                    let mut packer = Compress::new(Compression::new(LEVEL), false);
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
fn stream(
    from: &mut impl Read,
    to: &mut impl Write,
    mut workers: VecDeque<Worker>,
) -> io::Result<()> {
    let (mut sum, mut busy) = (Crc::new(), VecDeque::new());
    to.write_all(&HEADER)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        from.take(PIECE as u64).read_to_end(&mut piece)?;
        let ended = piece.is_empty();
        let idle = if ended { None } else { workers.pop_front() };
        let worker: Worker = match idle {
            Some(worker) => worker,
            None => match busy.pop_front() {
                Some(worker) => {
                    take(&worker, to, &mut sum)?;
                    worker
                }
                None => break,
            },
        };
        if ended {
            continue;
        }
        worker.pieces.send(piece).map_err(io::Error::other)?;
        busy.push_back(worker);
    }
    to.write_all(&END)?;
    to.write_all(&sum.sum().to_le_bytes())?;
    to.write_all(&sum.amount().to_le_bytes())
}

fn take(worker: &Worker, to: &mut impl Write, sum: &mut Crc) -> io::Result<()> {
    let packed = worker.packed.recv().map_err(io::Error::other)??;
    sum.combine(&packed.sum);
    to.write_all(&packed.bytes)
}

fn pack(packer: &mut Compress, piece: &[u8]) -> io::Result<Packed> {
    packer.reset();
    let mut sum = Crc::new();
    sum.update(piece);
    // What does not compress grows by a few bytes a block.
    let mut bytes = Vec::with_capacity(piece.len() + piece.len() / 1000 + 64);
    let mut rest = piece;
    loop {
        let before = packer.total_in();
        packer.compress_vec(rest, &mut bytes, FlushCompress::Sync)?;
        let taken = usize::try_from(packer.total_in() - before).unwrap_or(rest.len());
        rest = &rest[taken..];
        // Room that is left says that nothing was held back.
        if rest.is_empty() && bytes.len() < bytes.capacity() {
            return Ok(Packed { bytes, sum });
        }
        bytes.reserve(PIECE / 16);
    }
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
    fn what_was_compressed_is_one_member_that_comes_back_as_it_was() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 12_345] {
            let text: Vec<u8> = (0..=u32::try_from(length / 4).unwrap())
                .flat_map(u32::to_le_bytes)
                .take(length)
                .collect();
            for plain in [text, noise(length)] {
                let mut back = Vec::new();
                flate2::read::GzDecoder::new(&packed(&plain)[..])
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
