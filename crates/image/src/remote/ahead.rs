//! Decompression and hashing on a thread of their own, a little ahead of whoever unpacks.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use content::Hasher;
use oci::Digest;

use crate::decompress;

/// Length of one piece, and how many may wait.
const PIECE: usize = 128 * 1024;
const PIECES: usize = 8;

/// A layer's plain archive. Knows its digest once all of it was read.
#[derive(Debug)]
pub(super) struct Ahead {
    pieces: Receiver<io::Result<Piece>>,
    /// Takes the memory of what was read back.
    spent: Sender<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
    digest: Option<Digest>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End(Digest),
}

impl Ahead {
    /// Begins to read a layer, compressed or not.
    pub(super) fn new(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        let (spent, memory) = channel();
        // One is being filled, one is being read, the others wait: none is made later.
        for _ in 0..PIECES + 2 {
            spent
                .send(Vec::new())
                .map_err(|_| io::Error::other("nobody takes its memory"))?;
        }
        std::thread::Builder::new()
            .name("decompress".to_owned())
            .spawn(move || {
                let mut hasher = Hasher::default();
                let mut reader = match decompress(reader) {
                    Ok(reader) => reader,
                    // Whoever unpacks has gone where a send fails.
                    Err(error) => return drop(sender.send(Err(error))),
                };
                // Without memory there is nobody who reads.
                while let Ok(spent) = memory.recv() {
                    let piece = read_piece(&mut reader, spent);
                    let last = match &piece {
                        Ok(bytes) if !bytes.is_empty() => {
                            hasher.update(bytes);
                            false
                        }
                        _ => true,
                    };
                    let piece = match piece {
                        Ok(_) if last => Ok(Piece::End(std::mem::take(&mut hasher).finish())),
                        other => other.map(Piece::Bytes),
                    };
                    if sender.send(piece).is_err() || last {
                        return;
                    }
                }
            })?;
        Ok(Self {
            pieces,
            spent,
            current: Vec::new(),
            position: 0,
            digest: None,
        })
    }

    /// The digest of all that was read, once its end was.
    pub(super) fn digest(self) -> Option<Digest> {
        self.digest
    }
}

/// Fills one piece; an empty one is the end.
fn read_piece(reader: &mut impl Read, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    bytes.resize(PIECE, 0);
    let mut filled = 0;
    while filled < PIECE {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.current.len() {
            if self.digest.is_some() {
                return Ok(0);
            }
            match self.pieces.recv() {
                Ok(Ok(Piece::Bytes(bytes))) => {
                    let spent = std::mem::replace(&mut self.current, bytes);
                    self.position = 0;
                    // What was read before the first piece is none. The thread may have read to its end.
                    if spent.capacity() > 0 {
                        drop(self.spent.send(spent));
                    }
                }
                Ok(Ok(Piece::End(digest))) => self.digest = Some(digest),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::Error::other("the decompressing thread has ended")),
            }
        }
        let count = buffer.len().min(self.current.len() - self.position);
        buffer[..count].copy_from_slice(&self.current[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn bytes_and_digest_are_those_of_the_plain_stream() {
        let plain: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&plain).unwrap();
        let mut ahead = Ahead::new(io::Cursor::new(packed.finish().unwrap())).unwrap();
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert!(read == plain);
        assert_eq!(ahead.digest(), Some(content::digest_of(&plain)));
    }

    #[test]
    fn a_damaged_stream_is_an_error() {
        let mut ahead = Ahead::new(&[0x1f, 0x8b, 8, 0, 0][..]).unwrap();
        assert!(ahead.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(ahead.digest(), None);
    }
}
