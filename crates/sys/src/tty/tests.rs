//! Raw mode and sizes on a pseudo-terminal of our own.

use super::*;
use crate::pty;

#[test]
fn raw_mode_ends_with_its_guard() {
    let pty = pty::open().expect("a terminal");
    let modes = || tcgetattr(&pty.slave).expect("modes").local_modes;
    let before = modes();
    let raw = RawMode::enter(pty.slave.as_fd()).expect("raw");
    assert_ne!(modes(), before);
    drop(raw);
    assert_eq!(modes(), before);
}

#[test]
fn size_is_shared_by_both_ends() {
    let pty = pty::open().expect("a terminal");
    assert!(is_terminal(pty.slave.as_fd()));
    assert!(!is_terminal(
        std::fs::File::open("/dev/null").expect("opens").as_fd()
    ));
    let wanted = Size {
        rows: 33,
        columns: 111,
    };
    set_size(pty.master.as_fd(), wanted).expect("sets");
    assert_eq!(size(pty.slave.as_fd()).expect("gets"), wanted);
}

#[test]
fn window_changes_ring() {
    let changes = window_changes().expect("installs");
    let mut byte = [0];
    assert_eq!(
        rustix::io::read(&changes, &mut byte),
        Err(rustix::io::Errno::AGAIN)
    );
    // SAFETY: a signal whose handler was installed above.
    assert_eq!(unsafe { libc::raise(libc::SIGWINCH) }, 0);
    assert_eq!(rustix::io::read(&changes, &mut byte), Ok(1));
    drain(changes.as_fd());
}
