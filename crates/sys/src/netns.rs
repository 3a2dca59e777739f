//! Network namespaces, made and visited on threads that are born for it and die with the visit.
//!
//! The caller's thread never changes its namespace: a thread pool could otherwise lend the changed thread to anyone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// `linux/sockios.h`.
const SIOCGSKNS: libc::Ioctl = 0x894c;
/// Enough for a few nested calls and netlink buffers, which live on the heap.
const STACK: usize = 256 * 1024;

/// Makes a network namespace, runs `work` inside it and returns the namespace with what `work` returned.
/// The namespace lives as long as the descriptor, or anything inside it.
pub fn create<T: Send>(work: impl FnOnce(BorrowedFd<'_>) -> T + Send) -> io::Result<(OwnedFd, T)> {
    on_own_thread(|| {
        unshare_net()?;
        let fd = OwnedFd::from(File::open("/proc/thread-self/ns/net")?);
        let value = work(fd.as_fd());
        Ok((fd, value))
    })
}

/// Runs `work` inside the network namespace behind `fd`.
pub fn enter<T: Send>(fd: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_own_thread(|| {
        rustix::thread::move_into_link_name_space(fd, Some(LinkNameSpaceType::Network))?;
        Ok(work())
    })
}

/// The network namespace of the calling thread.
pub fn current() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// The network namespace that a socket belongs to, whoever holds it now.
pub fn of_socket(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: SIOCGSKNS has no argument, and touches no memory.
    let fd = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has made this descriptor for the caller, and closes it at exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn unshare_net() -> io::Result<()> {
    // SAFETY: CLONE_NEWNET changes the calling thread alone and touches neither its memory nor its descriptors; the thread
    // is one of `on_own_thread` and ends after this visit.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .stack_size(STACK)
            .spawn_scoped(scope, work)?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::linux::fs::MetadataExt;

    use super::*;

    fn inode(fd: &OwnedFd) -> u64 {
        File::from(fd.try_clone().unwrap())
            .metadata()
            .unwrap()
            .st_ino()
    }

    #[test]
    fn the_caller_stays_where_it_is() {
        let before = inode(&current().unwrap());
        let Ok((fd, inside)) = create(|_| current().map(|fd| inode(&fd))) else {
            return;
        };
        let inside = inside.unwrap();
        assert_eq!(inside, inode(&fd));
        assert_ne!(inside, before);
        assert_eq!(
            enter(fd.as_fd(), || inode(&current().unwrap())).unwrap(),
            inside
        );
        assert_eq!(inode(&current().unwrap()), before);
    }

    #[test]
    fn a_socket_tells_where_it_was_made() {
        let bind = || UdpSocket::bind("0.0.0.0:0").unwrap();
        let Ok((fd, inside)) = create(|_| bind()) else {
            return;
        };
        let found = |socket: &UdpSocket| inode(&of_socket(socket.as_fd()).unwrap());
        assert_eq!(found(&inside), inode(&fd));
        assert_eq!(found(&bind()), inode(&current().unwrap()));
    }
}
