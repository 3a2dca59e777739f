//! System call numbers by name, for the architectures a filter can cover.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::profile::Arch;

const TABLE: &str = include_str!("syscalls.tsv");

/// One column of the table.
type Numbers = HashMap<&'static str, u32>;

/// The number of the system call `name` on `arch`, if there is one.
pub(crate) fn number(arch: Arch, name: &str) -> Option<u32> {
    static NUMBERS: OnceLock<[Numbers; Arch::ALL.len()]> = OnceLock::new();
    NUMBERS.get_or_init(|| Arch::ALL.map(column))[arch as usize]
        .get(name)
        .copied()
}

fn column(arch: Arch) -> Numbers {
    let mut lines = TABLE.lines().skip_while(|line| line.starts_with('#'));
    let header = lines.next().expect("the table has a header");
    let index = header
        .split('\t')
        .position(|name| name == arch.column())
        .expect("each architecture has a column");
    let cells = lines.filter_map(|line| {
        let mut cells = line.split('\t');
        let name = cells.next()?;
        Some((name, cells.nth(index - 1)?.parse().ok()?))
    });
    cells.collect()
}

/// Whether the kernel reads only the lower 32 bits of that argument.
///
/// Docker's rules compare the whole register, so garbage in the upper half decides (CVE-2026-123876 is probably this):
/// `socket(0x1_0000_0026, …)` is "greater than 40" for the filter and AF_ALG for the kernel. Of the calls that are not
/// named here, rules take the whole register, as libseccomp does.
pub(crate) fn is_int(syscall: &str, argument: u32) -> bool {
    const INTS: &[(&str, &[u32])] = &[
        ("socket", &[0, 1, 2]),
        ("socketpair", &[0, 1, 2]),
        ("setsockopt", &[0, 1, 2]),
        ("getsockopt", &[0, 1, 2]),
        ("accept4", &[0, 3]),
        ("sendto", &[0, 3]),
        ("sendmsg", &[0, 2]),
        ("recvfrom", &[0, 3]),
        ("recvmsg", &[0, 2]),
        ("shutdown", &[0, 1]),
        // An unsigned long, whose lower half the kernel takes.
        ("clone", &[0]),
        ("personality", &[0]),
        ("ioctl", &[0, 1]),
        ("fcntl", &[0, 1]),
        ("prctl", &[0]),
        ("arch_prctl", &[0]),
        ("seccomp", &[0, 1]),
        ("syslog", &[0, 2]),
        ("reboot", &[0, 1, 2]),
        ("iopl", &[0]),
        ("quotactl", &[0]),
        ("quotactl_fd", &[0, 1]),
        ("perf_event_open", &[1, 2, 3]),
        ("userfaultfd", &[0]),
        ("fanotify_init", &[0, 1]),
        ("io_uring_setup", &[0]),
        ("io_uring_register", &[0, 1, 3]),
        ("kcmp", &[0, 1, 2]),
        ("pidfd_open", &[0, 1]),
        ("pidfd_getfd", &[0, 1, 2]),
        ("pidfd_send_signal", &[0, 1, 3]),
        ("rt_sigqueueinfo", &[0, 1]),
        ("rt_tgsigqueueinfo", &[0, 1, 2]),
        ("kill", &[0, 1]),
        ("tkill", &[0, 1]),
        ("tgkill", &[0, 1, 2]),
        ("setpriority", &[0, 1, 2]),
        ("ioprio_set", &[0, 1, 2]),
        ("prlimit64", &[0, 1]),
        ("setrlimit", &[0]),
        ("setuid", &[0]),
        ("setgid", &[0]),
        ("setreuid", &[0, 1]),
        ("setregid", &[0, 1]),
        ("setresuid", &[0, 1, 2]),
        ("setresgid", &[0, 1, 2]),
        ("setfsuid", &[0]),
        ("setfsgid", &[0]),
        ("keyctl", &[0]),
        ("bpf", &[0, 2]),
        ("setns", &[0, 1]),
        ("sched_setscheduler", &[0, 1]),
        ("sched_setattr", &[0, 2]),
        ("clock_settime", &[0]),
        ("clock_adjtime", &[0]),
        ("memfd_create", &[1]),
        ("madvise", &[2]),
        ("mmap", &[2, 3, 4]),
        ("open", &[1, 2]),
        ("openat", &[0, 2, 3]),
        ("open_by_handle_at", &[0, 2]),
        ("execveat", &[0, 4]),
        ("chmod", &[1]),
        ("fchmod", &[0, 1]),
        ("fchmodat", &[0, 2]),
        ("fchmodat2", &[0, 2, 3]),
        ("chown", &[1, 2]),
        ("lchown", &[1, 2]),
        ("fchown", &[0, 1, 2]),
        ("fchownat", &[0, 2, 3, 4]),
        ("mknod", &[1, 2]),
        ("mknodat", &[0, 2, 3]),
        ("umount2", &[1]),
        ("open_tree", &[0, 2]),
        ("move_mount", &[0, 2, 4]),
        ("fsopen", &[1]),
        ("fsmount", &[0, 1, 2]),
        ("mount_setattr", &[0, 2]),
        ("swapon", &[1]),
        ("finit_module", &[0, 2]),
        ("delete_module", &[1]),
    ];
    INTS.iter()
        .any(|(name, arguments)| *name == syscall && arguments.contains(&argument))
}
