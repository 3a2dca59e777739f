//! Sealed memory files: our own program, out of reach of what it starts (CVE-2019-5736).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

/// A file in memory with this content, which nobody can change.
pub fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let fd = create(name)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&fd, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0))?;
    seal(&fd)?;
    Ok(fd)
}

/// A sealed copy of the running executable.
pub fn own_executable() -> io::Result<OwnedFd> {
    let mut source = File::open("/proc/self/exe")?;
    let fd = create("corten")?;
    let mut copy = File::from(fd);
    io::copy(&mut source, &mut copy)?;
    let fd = OwnedFd::from(copy);
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o555))?;
    seal(&fd)?;
    Ok(fd)
}

fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC (6.3): executable whatever vm.memfd_noexec says; older kernels refuse the flag and need none.
    match rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        other => Ok(other?),
    }
}

fn seal(fd: &OwnedFd) -> io::Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(rustix::fs::fcntl_add_seals(fd, seals)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cannot_be_changed() {
        let fd = sealed("x", b"abc").unwrap();
        assert!(rustix::io::write(&fd, b"d").is_err());
        assert!(rustix::fs::ftruncate(&fd, 0).is_err());
        let mut text = String::new();
        io::Read::read_to_string(&mut File::from(fd), &mut text).unwrap();
        assert_eq!(text, "abc");
        assert!(
            rustix::fs::fstat(own_executable().unwrap())
                .unwrap()
                .st_size
                > 0
        );
    }
}
