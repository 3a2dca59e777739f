//! Docker json-file logs: written by the monitor, read by the engine.
//!
//! One record a line: `{"log":"text\n","stream":"stdout","time":"2026-01-02T15:04:05.999999999Z"}`. A line of output longer
//! than [`MAX_LINE`] becomes several records, of which all but the last lack the `\n`. The newest file is `PATH`, older
//! ones are `PATH.1`, `PATH.2`, …
//!
//! Any byte of a file may be wrong after a crash (torn records, blocks of NUL): a reader skips to the next whole record
//! and never makes one up.

mod json;
mod reader;
mod writer;

pub use reader::{Query, Reader, Record};
pub use writer::Writer;

/// Bytes of output in one record at most, as Docker cuts them.
pub const MAX_LINE: usize = 16 * 1024;

/// Which of the container's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output; all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The path of the n-th older file; 0 is the newest.
fn rotated(path: &std::path::Path, age: u32) -> std::path::PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

#[cfg(test)]
mod tests;
