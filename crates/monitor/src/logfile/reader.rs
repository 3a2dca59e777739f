//! Reads a log: oldest record first, across rotated files, from the last n records if so wished, and on as it grows.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::{Stream, rotated};

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// A line longer than this is no record of ours, nor of Docker's.
const MAX_RECORD: usize = 4 * 1024 * 1024;

/// Which records are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Those of stdout.
    pub stdout: bool,
    /// Those of stderr.
    pub stderr: bool,
    /// Not older than this.
    pub since: Option<SystemTime>,
    /// Not newer than this.
    pub until: Option<SystemTime>,
    /// Only so many of the last records in the files (counted before the other conditions, as Docker does).
    pub tail: Option<u64>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            stdout: true,
            stderr: true,
            since: None,
            until: None,
            tail: None,
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which stream it came from.
    pub stream: Stream,
    /// When it was read from the container.
    pub time: SystemTime,
    /// The text, with its newline unless it is partial. Always UTF-8.
    pub line: Vec<u8>,
    /// The line goes on in the stream's next record, or the stream ended without a newline.
    pub partial: bool,
}

/// A place in a log. At its end [`Reader::next_record`] gives `None`; called again later it goes on with what was written
/// meanwhile, in a newer file if need be.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    max_files: u32,
    query: Query,
    /// Oldest first; the first is being read.
    files: VecDeque<File>,
    /// Where in the first file the next block begins.
    offset: u64,
    /// Read and not yet parsed; begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Inside a line that is too long to be a record.
    skipping: bool,
    /// A record newer than `until` was seen.
    finished: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    log: std::borrow::Cow<'a, str>,
    stream: &'a str,
    time: &'a str,
}

impl Reader {
    /// Opens the log at `path` with its older files. A log that does not exist is an empty one.
    pub fn open(path: &Path, max_files: u32) -> io::Result<Self> {
        Self::query(path, max_files, Query::default())
    }

    /// Opens the log for the records wanted.
    pub fn query(path: &Path, max_files: u32, query: Query) -> io::Result<Self> {
        let mut reader = Self {
            path: path.to_owned(),
            max_files: max_files.max(1),
            files: open_all(path, max_files.max(1))?,
            query,
            offset: 0,
            buffer: Vec::new(),
            start: 0,
            skipping: false,
            finished: false,
        };
        if let Some(count) = reader.query.tail {
            reader.seek_tail(count)?;
        }
        Ok(reader)
    }

    /// The next record wanted; `None` at the end of what is there.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        while !self.finished {
            let Some(record) = self.any_record()? else {
                return Ok(None);
            };
            let wanted = match record.stream {
                Stream::Stdout => self.query.stdout,
                Stream::Stderr => self.query.stderr,
            };
            if self.query.until.is_some_and(|until| record.time > until) {
                self.finished = true;
            } else if wanted && self.query.since.is_none_or(|since| record.time >= since) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Says whether no further record can come, because one newer than `until` was seen.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn any_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            while let Some(length) = self.line_length() {
                let line = &self.buffer[self.start..self.start + length];
                let record = if self.skipping { None } else { parse(line) };
                self.skipping = false;
                self.start += length;
                if record.is_some() {
                    return Ok(record);
                }
            }
            if !self.fill()? && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// Length of the first line in the buffer, its newline included.
    fn line_length(&self) -> Option<usize> {
        self.buffer[self.start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|newline| newline + 1)
    }

    /// Reads a block; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = self.files.front() else {
            return Ok(false);
        };
        if file.metadata()?.len() < self.offset {
            // Truncated by hand.
            self.offset = 0;
            self.buffer.clear();
            self.start = 0;
            self.skipping = false;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() > MAX_RECORD {
            self.buffer.clear();
            self.skipping = true;
        }
        let kept = self.buffer.len();
        self.buffer.resize(kept + BLOCK, 0);
        let read = file.read_at(&mut self.buffer[kept..], self.offset);
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        self.offset += read? as u64;
        Ok(self.buffer.len() > kept)
    }

    /// Goes on to the file after the one that has been read to its end; false if there is none.
    fn next_file(&mut self) -> io::Result<bool> {
        if self.files.is_empty() {
            self.files = open_all(&self.path, self.max_files)?;
            return Ok(!self.files.is_empty());
        }
        if self.files.len() == 1 {
            let newer = self.newer_files()?;
            if newer.is_empty() {
                return Ok(false);
            }
            // Between the last read and the rotation more may have been written to the old file.
            if self.fill()? {
                return Ok(true);
            }
            self.files.extend(newer);
        }
        self.files.pop_front();
        self.offset = 0;
        self.buffer.clear();
        self.start = 0;
        self.skipping = false;
        Ok(true)
    }

    /// Files begun since the one being read, oldest first.
    fn newer_files(&self) -> io::Result<VecDeque<File>> {
        let Some(current) = self.files.front() else {
            return open_all(&self.path, self.max_files);
        };
        let identity = identity(current)?;
        match std::fs::metadata(&self.path) {
            Ok(newest) if (newest.dev(), newest.ino()) != identity => {}
            _ => return Ok(VecDeque::new()),
        }
        let mut files = open_all(&self.path, self.max_files)?;
        for place in 0..files.len() {
            if self::identity(&files[place])? == identity {
                files.drain(..=place);
                break;
            }
        }
        Ok(files)
    }

    /// Moves to the last `count` lines, reading backwards, and forgets the files before them.
    fn seek_tail(&mut self, count: u64) -> io::Result<()> {
        let mut wanted = count;
        let mut block = vec![0; BLOCK];
        for place in (0..self.files.len()).rev() {
            let mut end = self.files[place].metadata()?.len();
            while end > 0 {
                let begin = end.saturating_sub(BLOCK as u64);
                let window = &mut block[..usize::try_from(end - begin).unwrap_or(BLOCK)];
                self.files[place].read_exact_at(window, begin)?;
                for index in (0..window.len())
                    .rev()
                    .filter(|index| window[*index] == b'\n')
                {
                    if wanted == 0 {
                        self.offset = begin + index as u64 + 1;
                        self.files.drain(..place);
                        return Ok(());
                    }
                    wanted -= 1;
                }
                end = begin;
            }
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Opens all files of a log, oldest first, as of one moment: a rotation meanwhile is noticed and the opening repeated.
fn open_all(path: &Path, max_files: u32) -> io::Result<VecDeque<File>> {
    for _ in 0..8 {
        let mut files = VecDeque::new();
        for age in 0..max_files {
            match File::open(rotated(path, age)) {
                Ok(file) => files.push_front(file),
                // A missing newest file is no end: a rotation is under way, or a crash came in the middle of one.
                Err(error) if error.kind() == io::ErrorKind::NotFound && age == 0 => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        let unchanged = match (files.back(), std::fs::metadata(path)) {
            (Some(newest), Ok(metadata)) => identity(newest)? == (metadata.dev(), metadata.ino()),
            (_, Err(_)) => true,
            (None, Ok(_)) => false,
        };
        if unchanged {
            return Ok(files);
        }
    }
    Ok(VecDeque::new())
}

/// Reads one line as a record. What stands before the record's beginning (the torn rest of another, NULs) is passed over:
/// inside a record the quotes of `{"log":"` would be escaped.
fn parse(line: &[u8]) -> Option<Record> {
    const BEGIN: &[u8] = br#"{"log":""#;
    parse_exactly(line).or_else(|| {
        let begin = line
            .windows(BEGIN.len())
            .rposition(|window| window == BEGIN)?;
        if begin == 0 {
            None
        } else {
            parse_exactly(&line[begin..])
        }
    })
}

fn parse_exactly(line: &[u8]) -> Option<Record> {
    let wire: Wire<'_> = serde_json::from_slice(line).ok()?;
    let stream = match wire.stream {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    let time = stdx::time::parse_rfc3339(wire.time)?;
    let line = wire.log.into_owned().into_bytes();
    Some(Record {
        stream,
        time,
        partial: line.last() != Some(&b'\n'),
        line,
    })
}
