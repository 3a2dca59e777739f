//! The frame that keeps stdout and stderr apart on one connection: `[stream, 0, 0, 0, length as u32 big-endian]`.

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// `Content-Type` of an unframed stream (a terminal).
pub const RAW: &str = "application/vnd.docker.raw-stream";

/// `Content-Type` of a framed stream, since 1.42.
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Input, echoed; never sent today.
    Stdin = 0,
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// An error of the daemon itself.
    System = 3,
}

/// The header of a frame of `length` bytes.
pub fn header(stream: Stream, length: u32) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// What a header says; `None` for an unknown stream.
pub fn parse(header: [u8; HEADER]) -> Option<(Stream, u32)> {
    let [stream, _, _, _, a, b, c, d] = header;
    let stream = match stream {
        0 => Stream::Stdin,
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        3 => Stream::System,
        _ => return None,
    };
    Some((stream, u32::from_be_bytes([a, b, c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_parse_agree() {
        assert_eq!(header(Stream::Stderr, 258), [2, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(
            parse(header(Stream::Stdout, u32::MAX)),
            Some((Stream::Stdout, u32::MAX))
        );
        assert_eq!(parse([9, 0, 0, 0, 0, 0, 0, 1]), None);
    }
}
