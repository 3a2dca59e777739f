//! The pid file: tells others who we are, and us whether another is there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sys::process::PidFd;

/// A daemon that was killed needs a moment to be gone; one that is still there after this stays.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// The pid in the file, if a process of our own kind has it (a pid is soon another's) and stays: one that was just killed
/// is waited for, one that nobody has reaped is none.
fn living(path: &Path) -> Option<i32> {
    let pid: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if u32::try_from(pid).ok()? == std::process::id() {
        return None;
    }
    // Opened before the name is read: it cannot become another's in between.
    let process = PidFd::open(pid).ok()?;
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let alike = name(&pid.to_string())? == name("self")?;
    (alike && !process.ends_within(PATIENCE).unwrap_or(false)).then_some(pid)
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
    #[expect(clippy::disallowed_methods, reason = "a test's fixture")]
    fn a_daemon_that_was_killed_is_waited_for_though_nobody_reaps_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("daemon.pid");
        // A program with our name.
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let program = directory.path().join(name.trim_end());
        std::fs::copy("/bin/sleep", &program).unwrap();
        let mut other = std::process::Command::new(&program)
            .arg("1000")
            .spawn()
            .unwrap();
        // It gets its name a moment after its start is told.
        let its = format!("/proc/{}/comm", other.id());
        while std::fs::read_to_string(&its).unwrap() != name {
            std::thread::yield_now();
        }
        std::fs::write(&path, other.id().to_string()).unwrap();
        let refused = PidFile::create(&path).unwrap_err().to_string();
        assert!(refused.contains("is still running"), "{refused}");
        other.kill().unwrap();
        drop(PidFile::create(&path).unwrap());
        other.wait().unwrap();
    }

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
