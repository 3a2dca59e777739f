//! The kernel: file descriptors, paths inside a root, mounts, processes, namespaces, cgroup files, netlink, terminals.
//!
//! The only crate with unsafe code and the only one that sees libc or rustix. Safe outside, no policy inside.

pub mod bpf;
pub mod caps;
pub mod cgroup;
pub mod epoll;
pub mod inet;
pub mod inotify;
pub mod leave;
pub mod memfd;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod netns;
pub mod overlay;
pub mod poll;
pub mod process;
pub mod pty;
pub mod rlimit;
pub mod root;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod tty;
