//! Compressed streams, recognised by their first bytes and read in this process: no program is ever started for it.

use std::io::{self, Read};

/// Most memory that an xz stream may ask for.
const XZ_MEMORY: u64 = 256 << 20;
/// Largest window of a zstd stream, as a power of two: what the zstd program itself takes.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Reads a stream that is compressed with gzip, zstd or xz, or not at all.
pub fn decompress<'r>(mut reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut magic = [0; 6];
    let mut filled = 0;
    while filled < magic.len() {
        match reader.read(&mut magic[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let begin = magic[..filled].to_vec();
    let compression = Compression::of(&begin);
    let whole = io::Cursor::new(begin).chain(reader);
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::read::XzDecoder::new_stream(whole, stream))
        }
        Compression::Bzip2 => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bzip2 is not supported",
            ));
        }
    })
}

enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    fn of(begin: &[u8]) -> Self {
        match begin {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Self::Bzip2,
            _ => Self::None,
        }
    }
}
