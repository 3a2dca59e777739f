//! Who may open the state, and whether this release understands it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Error, write_atomic};

/// How long a lock of a process that was killed may stay, and how often it is tried.
const PATIENCE: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(5);

/// The version of the layout on disk that this release writes.
pub const LAYOUT_VERSION: u32 = 1;

/// An exclusive lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; waits for it no longer than a killed process needs to be gone, with its last child.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(Error::io("open lock", path))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(AGAIN);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked {
                        path: path.to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Io {
                        action: "lock",
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        // For the reader of the file only; the lock is the kernel's.
        file.set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
            .map_err(Error::io("write lock", path))?;
        Ok(Self { _file: file })
    }
}

/// Reads `<root>/format`, written when it does not exist; refuses a layout of a later release.
pub fn check_format(root: &Path) -> Result<u32, Error> {
    let path = root.join("format");
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if found > LAYOUT_VERSION => Err(Error::TooNew {
                path,
                found,
                supported: LAYOUT_VERSION,
            }),
            Ok(0) | Err(_) => Err(Error::Damaged {
                path,
                reason: format!("{:?} is no layout version", text.trim()),
            }),
            Ok(found) => Ok(found),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write_atomic(&path, format!("{LAYOUT_VERSION}\n").as_bytes(), true)?;
            Ok(LAYOUT_VERSION)
        }
        Err(source) => Err(Error::Io {
            action: "read",
            path,
            source,
        }),
    }
}
