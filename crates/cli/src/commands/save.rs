//! `save`: images as an archive.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use client::{Method, Request, query};

use super::platforms;
use crate::flags::Given;
use crate::report::{Failure, Outcome, io_failure, reason};
use crate::session::Session;

/// `save [OPTIONS] IMAGE [IMAGE...]`
pub(crate) async fn save(session: &Session, given: &Given) -> Outcome {
    let output = given.get("output").filter(|path| !path.is_empty());
    if output.is_none() && session.env.stdout_is_terminal {
        return Err(Failure::new(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    let mut pairs: Vec<(&str, &str)> = given
        .args
        .iter()
        .map(|name| ("names", name.as_str()))
        .collect();
    if let Some(path) = output {
        check_output(session, path)?;
    }
    let platforms = platforms(given, "invalid platform: ")?;
    pairs.extend(
        platforms
            .iter()
            .map(|platform| ("platform", platform.as_str())),
    );
    // The file is not begun before the daemon has found the images.
    let request = Request::new(Method::Get, query("/images/get", &pairs));
    let mut response = session.client().await?.send(request).await?;
    let Some(path) = output else {
        let mut stdout = io::stdout();
        let mut tail = Tail::default();
        while let Some(piece) = response.body.chunk().await? {
            tail.add(&piece);
            stdout.write_all(&piece).map_err(|error| failed(&error))?;
        }
        return tail.check().map(|()| 0);
    };
    let target = session.env.absolute(path);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = target.with_file_name(format!(".{name}.tmp-{}", std::process::id()));
    let _goes =
        sys::leave::Temporary::new(&temporary).map_err(|error| io_failure("open", path, &error))?;
    let written = write(&mut response, &temporary).await.and_then(|()| {
        store::rename(&temporary, &target, false).map_err(|error| Failure::new(error.to_string()))
    });
    if written.is_err() {
        // The failure is what counts.
        drop(std::fs::remove_file(&temporary));
    }
    written.map(|()| 0)
}

/// Whether a file can be made there; what is no file is never replaced.
fn check_output(session: &Session, path: &str) -> Result<(), Failure> {
    use std::os::unix::fs::FileTypeExt as _;
    let refused = |why: &str| Failure::new(format!("failed to save image: {why}"));
    let target = session.env.absolute(path);
    if let Some(parent) = target.parent().filter(|parent| !parent.exists()) {
        return Err(refused(&format!(
            "invalid output path: stat {}: no such file or directory",
            parent.display()
        )));
    }
    // The file that a link names is replaced, not the link, as docker does: so the link's end counts.
    let Ok(metadata) = std::fs::metadata(&target) else {
        return Ok(());
    };
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => Ok(()),
        () if kind.is_dir() => Err(refused("cannot write to a directory")),
        () if kind.is_char_device() => Err(refused("cannot write to a character device file")),
        () if kind.is_block_device() => Err(refused("cannot write to a block device file")),
        () => Err(refused("cannot write to an irregular file")),
    }
}

async fn write(response: &mut client::Response, path: &Path) -> Result<(), Failure> {
    // One that was killed may have left it, and nobody else's is written to: what is in images is their owner's alone.
    drop(std::fs::remove_file(path));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_failure("open", &path.to_string_lossy(), &error))?;
    let mut tail = Tail::default();
    while let Some(piece) = response.body.chunk().await? {
        tail.add(&piece);
        file.write_all(&piece).map_err(|error| failed(&error))?;
    }
    tail.check()
}

/// The end of an archive: the daemon cannot say that it failed once it has begun, so an archive must have its own end.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// An archive ends with two empty blocks.
    const END: usize = 1024;

    fn add(&mut self, piece: &[u8]) {
        self.0
            .extend_from_slice(&piece[piece.len().saturating_sub(Self::END)..]);
        self.0.drain(..self.0.len().saturating_sub(Self::END));
    }

    fn check(&self) -> Result<(), Failure> {
        if self.0.len() == Self::END && self.0.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(Failure::new("write the archive: unexpected EOF"))
        }
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(format!("write the archive: {}", reason(error)))
}
