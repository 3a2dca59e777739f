//! The pid file: tells others who we are, and us whether another is there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A pid file that is ours; removed when dropped.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes our pid, unless a daemon of the pid that is there runs.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(pid) = living(path) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("process with PID {pid} is still running"),
            ));
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        writeln!(File::create(path)?, "{}", std::process::id())?;
        Ok(Self(path.to_owned()))
    }
}

/// The pid in the file, if a process of our own kind has it: a pid is soon another's.
fn living(path: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if pid == std::process::id() {
        return None;
    }
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    (name(&pid.to_string())? == name("self")?).then_some(pid)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = std::fs::read_to_string(&self.0)
            .is_ok_and(|text| text.trim() == std::process::id().to_string());
        if ours {
            // Gone already is as good.
            drop(std::fs::remove_file(&self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PidFile;

    #[test]
    fn a_file_of_nobody_is_replaced_and_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/daemon.pid");
        drop(PidFile::create(&path).unwrap());
        assert!(!path.exists());
        for text in ["", "nonsense", "4194305"] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test's fixture")]
            std::fs::write(&path, text).unwrap();
            let file = PidFile::create(&path).unwrap();
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                format!("{}\n", std::process::id())
            );
            drop(file);
        }
    }
}
