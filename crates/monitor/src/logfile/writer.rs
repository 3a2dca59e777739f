//! Writes a log: output in, whole records out, in few large writes, rotated by size.
//!
//! Memory is bounded whatever the container does: one buffer of records, and for each stream the line that has not ended.
//! A log that cannot be written (disk full) loses records; it never stops the container.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{MAX_LINE, Stream, json, rotated};
use crate::protocol::Log;

/// Records are collected up to this size before they are written.
const BATCH: usize = 48 * 1024;

/// An unfinished line may keep this much memory once it is done.
const SMALL: usize = 512;

/// The log of one container.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    file: Option<File>,
    /// Bytes in the newest file.
    size: u64,
    /// Whole records not written yet.
    batch: Vec<u8>,
    /// Everything of a record after its text, for the output at hand.
    ending: Vec<u8>,
    unfinished: [Vec<u8>; 2],
    /// The file ends in a part of a record.
    torn: bool,
}

impl Writer {
    /// Opens the log, which may have records of earlier runs.
    pub fn open(log: &Log) -> io::Result<Self> {
        let mut writer = Self {
            path: PathBuf::from(&log.path),
            max_size: log.max_size,
            max_files: log.max_files.max(1),
            file: None,
            size: 0,
            batch: Vec::new(),
            ending: Vec::new(),
            unfinished: [Vec::new(), Vec::new()],
            torn: false,
        };
        writer.open_file()?;
        writer.torn = writer.size > 0 && !ends_with_newline(&writer.path)?;
        Ok(writer)
    }

    fn open_file(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640);
        let file = options.open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Takes output as it was read. Call [`Writer::flush`] when there is no more for the moment.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now: SystemTime) {
        self.set_ending(stream, now);
        let mut unfinished = std::mem::take(&mut self.unfinished[stream as usize]);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = MAX_LINE - unfinished.len();
            let window = &rest[..rest.len().min(room)];
            let end = window
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|newline| newline + 1);
            let taken = end.unwrap_or(window.len());
            let (piece, after) = rest.split_at(taken);
            rest = after;
            let whole = end.is_some() || taken == room;
            match (whole, unfinished.is_empty()) {
                (true, true) => self.record(piece),
                (true, false) => {
                    unfinished.extend_from_slice(piece);
                    self.record(&unfinished);
                    unfinished.clear();
                }
                (false, _) => unfinished.extend_from_slice(piece),
            }
        }
        if unfinished.is_empty() && unfinished.capacity() > SMALL {
            unfinished = Vec::new();
        }
        self.unfinished[stream as usize] = unfinished;
    }

    /// A stream has ended: what it left without a newline becomes a record.
    pub fn end(&mut self, stream: Stream, now: SystemTime) {
        let unfinished = std::mem::take(&mut self.unfinished[stream as usize]);
        if !unfinished.is_empty() {
            self.set_ending(stream, now);
            self.record(&unfinished);
        }
    }

    /// Writes the records collected so far.
    pub fn flush(&mut self) {
        let Some(file) = &mut self.file else {
            self.batch.clear();
            return;
        };
        if self.batch.is_empty() {
            return;
        }
        if self.torn && file.write_all(b"\n").is_ok() {
            self.size += 1;
            self.torn = false;
        }
        let mut rest = self.batch.as_slice();
        while !self.torn && !rest.is_empty() {
            match file.write(rest) {
                Ok(written) => {
                    self.size += written as u64;
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    let done = self.batch.len() - rest.len();
                    self.torn = done > 0 && self.batch[done - 1] != b'\n';
                    break;
                }
            }
        }
        self.batch.clear();
    }

    /// Gives back the memory of buffers that are empty.
    pub fn relax(&mut self) {
        if self.batch.is_empty() {
            self.batch = Vec::new();
        }
    }

    /// Says whether [`Writer::relax`] would give anything back.
    pub fn holds_memory(&self) -> bool {
        self.batch.capacity() > 0
    }

    fn set_ending(&mut self, stream: Stream, now: SystemTime) {
        self.ending.clear();
        self.ending.extend_from_slice(br#"","stream":""#);
        self.ending.extend_from_slice(stream.as_str().as_bytes());
        self.ending.extend_from_slice(br#"","time":""#);
        self.ending
            .extend_from_slice(stdx::time::rfc3339_nano(now).as_bytes());
        self.ending.extend_from_slice(b"\"}\n");
    }

    fn record(&mut self, line: &[u8]) {
        if self.max_size > 0 && self.size + self.batch.len() as u64 >= self.max_size {
            self.flush();
            self.rotate();
        } else if self.batch.len() + line.len() > BATCH {
            self.flush();
        }
        if self.batch.capacity() == 0 {
            self.batch.reserve_exact(BATCH + MAX_LINE);
        }
        self.batch.extend_from_slice(br#"{"log":""#);
        json::escape(&mut self.batch, line);
        self.batch.extend_from_slice(&self.ending);
    }

    /// Begins a new file. When that fails the present one is written on.
    ///
    /// The oldest one, which with a single file is the present one, is removed and never emptied: whoever reads it still
    /// reads it to its end.
    fn rotate(&mut self) {
        if self.size < self.max_size {
            return;
        }
        let mut ages = (1..self.max_files).rev();
        let shifted = remove(&rotated(&self.path, self.max_files - 1))
            && ages.all(|age| shift(&self.path, age));
        if shifted && self.open_file().is_ok() {
            self.torn = false;
        }
    }
}

/// Removes a file; a missing one is no failure.
fn remove(path: &Path) -> bool {
    match std::fs::remove_file(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    }
}

/// Renames the file that is `age - 1` old to `age`; a missing one is no failure.
fn shift(path: &Path, age: u32) -> bool {
    let from = rotated(path, age - 1);
    !from.exists() || store::rename(&from, &rotated(path, age), false).is_ok()
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    use std::io::{Read, Seek};
    let mut file = File::open(path)?;
    file.seek(io::SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0] == b'\n')
}
