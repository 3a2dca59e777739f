//! What a container has written.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use monitor::logfile::{Query, Reader, Record, Stream as Written};
use sys::inotify::{Inotify, Watch};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::blocking::{Class, blocking};
use crate::container::Container;
use crate::container::spec::LogConfig;
use crate::{Engine, Error, Result};

/// Lines read at once.
const BATCH: usize = 256;
/// How soon a follower looks again where the kernel has no more watches to give.
const AGAIN: Duration = Duration::from_millis(100);

/// Which lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logs {
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Not older than this.
    pub since: Option<SystemTime>,
    /// Not newer than this.
    pub until: Option<SystemTime>,
    /// Only the last so many; `None`: all.
    pub tail: Option<usize>,
    /// Go on until the container ends.
    pub follow: bool,
}

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line (or a piece of a very long one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub source: Source,
    /// When.
    pub time: SystemTime,
    /// With its line feed, if it has one.
    pub bytes: Vec<u8>,
}

/// Lines as they are read.
#[derive(Debug)]
pub struct Stream {
    /// The container has a terminal: the stream is raw, not framed.
    pub tty: bool,
    /// Lines; closed at the end.
    pub lines: mpsc::Receiver<Result<Line>>,
}

/// Reads a container's log.
pub async fn logs(engine: &Arc<Engine>, reference: &str, which: Logs) -> Result<Stream> {
    let container = engine.containers.find(reference)?;
    let now = container.now();
    let LogConfig::JsonFile { max_files, .. } = now.record.spec.log else {
        return Err(Error::Invalid(
            "configured logging driver does not support reading".to_owned(),
        ));
    };
    let query = Query {
        stdout: which.stdout,
        stderr: which.stderr,
        since: which.since,
        until: which.until,
        tail: which.tail.map(|count| count as u64),
    };
    let path = container.paths.log();
    let opened = blocking("open a log", Class::Disk, move || {
        Reader::query(&path, max_files.max(1), query)
    })
    .await;
    let reader = opened.map_err(Error::io(format!(
        "open the log of container {}",
        container.id
    )))?;
    let news = News::of(&container, which.follow);
    let (sender, lines) = mpsc::channel(BATCH);
    tokio::spawn(async move {
        if let Err(error) = read(&container, reader, news, which, &sender).await {
            // A reader that has gone needs no error either.
            drop(sender.send(Err(error)).await);
        }
    });
    Ok(Stream {
        tty: now.record.spec.tty,
        lines,
    })
}

async fn read(
    container: &Arc<Container>,
    mut reader: Reader,
    news: News,
    which: Logs,
    sender: &mpsc::Sender<Result<Line>>,
) -> Result<()> {
    let mut changes = container.subscribe();
    loop {
        // Looked at before reading: what is written before an end is read after it was seen.
        let ended = !changes.borrow_and_update().state.is_running();
        let (again, batch) = blocking("read a log", Class::Disk, move || batch(reader)).await;
        reader = again;
        let batch = batch.map_err(Error::io(format!(
            "read the log of container {}",
            container.id
        )))?;
        let empty = batch.is_empty();
        for record in batch {
            if sender.send(Ok(line(record))).await.is_err() {
                return Ok(());
            }
        }
        if !empty {
            continue;
        }
        let over = which.until.is_some_and(|until| until <= SystemTime::now());
        if !which.follow || ended || over || reader.is_finished() {
            return Ok(());
        }
        tokio::select! {
            () = news.come() => {}
            () = until(which.until) => {}
            _ = changes.changed() => {}
            () = sender.closed() => return Ok(()),
        }
    }
}

/// Sleeps until a follower has seen all it asked for; for ever where it asked for no end.
async fn until(end: Option<SystemTime>) {
    match end {
        Some(end) => {
            tokio::time::sleep(end.duration_since(SystemTime::now()).unwrap_or_default()).await;
        }
        None => std::future::pending().await,
    }
}

/// News of a container's log files: written, or changed for a new one.
struct News(Option<AsyncFd<Inotify>>);

impl News {
    fn of(container: &Container, follow: bool) -> Self {
        let watch = || -> std::io::Result<AsyncFd<Inotify>> {
            let inotify = Inotify::new()?;
            let path = container.paths.log();
            let directory = path.parent().unwrap_or(&path);
            inotify.add(directory, Watch::MODIFY | Watch::CREATE | Watch::MOVE)?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe to call; the watch owns its descriptor and never changes it"
            )]
            AsyncFd::with_interest(inotify, Interest::READABLE)
        };
        // A kernel that has no watches left: a follower looks again from time to time.
        Self(follow.then(watch).and_then(std::result::Result::ok))
    }

    async fn come(&self) {
        let Some(watch) = &self.0 else {
            return tokio::time::sleep(AGAIN).await;
        };
        let Ok(mut ready) = watch.readable().await else {
            return tokio::time::sleep(AGAIN).await;
        };
        if watch.get_ref().read().is_ok() {
            ready.clear_ready();
        }
    }
}

fn batch(mut reader: Reader) -> (Reader, std::io::Result<Vec<Record>>) {
    let mut records = Vec::new();
    while records.len() < BATCH {
        match reader.next_record() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => break,
            Err(error) => return (reader, Err(error)),
        }
    }
    (reader, Ok(records))
}

fn line(record: Record) -> Line {
    let source = match record.stream {
        Written::Stdout => Source::Stdout,
        Written::Stderr => Source::Stderr,
    };
    Line {
        source,
        time: record.time,
        bytes: record.line,
    }
}
