//! Interfaces are taken away, and nobody waits until the kernel has freed them.
//!
//! The kernel answers a deletion when the interface is freed: a grace period of 10 to 20 ms after it was gone for everybody
//! (`netdev_run_todo`). That it is gone it says at once to whoever listens.

use std::io::{PipeReader, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use sys::netlink::{Protocol, Socket};
use sys::netns;
use sys::poll::{Interest, Poll};

use crate::link;

/// For a kernel that neither says that the interface is gone nor answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes a pair away by its host's end; one that is gone is gone.
pub(crate) fn pair(host: &Socket, host_interface: &str) {
    if let Ok(Some(link)) = link::find(host, host_interface) {
        // It has died with its namespace meanwhile, or else a sweep finds it.
        here(link.index);
    }
}

/// Takes an interface away that has no other end.
pub(crate) fn inside(netns: BorrowedFd<'_>, interface: &str) {
    // It dies with its namespace at the latest.
    drop(netns::enter(netns, || {
        let socket = Socket::open(Protocol::Route)?;
        if let Ok(Some(link)) = link::find(&socket, interface) {
            here(link.index);
        }
        Ok::<(), std::io::Error>(())
    }));
}

/// Takes an interface of the calling thread's namespace away; returns when it is gone, or refused.
pub(crate) fn here(index: u32) {
    let begun = Socket::listen_to_links().and_then(|heard| {
        let answered = ask_on_another_thread(index)?;
        Ok((heard, answered))
    });
    match begun {
        Ok((heard, answered)) => wait(&heard, &answered, index),
        // No descriptors or no threads: then it takes its time.
        Err(_) => ask(index),
    }
}

fn ask(index: u32) {
    if let Ok(socket) = Socket::open(Protocol::Route) {
        // A refusal means that it has gone by itself.
        drop(socket.transact(&[link::delete(index)]));
    }
}

/// The other end of what is returned is closed with the answer.
fn ask_on_another_thread(index: u32) -> std::io::Result<PipeReader> {
    let (answered, answer) = pipe()?;
    thread::Builder::new()
        .name("unplug".to_owned())
        .spawn(move || {
            ask(index);
            drop(answer);
        })?;
    Ok(answered)
}

/// Waits until the kernel says that the interface is gone, or has answered.
fn wait(heard: &Socket, answered: &PipeReader, index: u32) {
    let begun = Instant::now();
    let mut poll = Poll::new();
    while begun.elapsed() < PATIENCE {
        poll.clear();
        poll.add(heard.as_fd(), Interest::Read);
        let end = poll.add(answered.as_fd(), Interest::Hangup);
        if poll.wait(Some(PATIENCE)).is_err() || poll.ready(end).hangup {
            return;
        }
        // What was lost in a flood of changes comes with the answer.
        let messages = heard.heard().unwrap_or_default();
        if messages
            .iter()
            .any(|(kind, payload)| link::is_end_of(index, *kind, payload))
        {
            return;
        }
    }
}
