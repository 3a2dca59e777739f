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
/// `socket(0x1_0000_0026, …)` is "greater than 40" for the filter and AF_ALG for the kernel.
pub(crate) fn is_int(syscall: &str, argument: u32) -> bool {
    const INTS: &[(&str, &[u32])] = &[
        ("socket", &[0, 1, 2]),
        ("socketpair", &[0, 1, 2]),
        ("personality", &[0]),
        ("ioctl", &[0, 1]),
        ("fcntl", &[0, 1]),
        ("prctl", &[0]),
        ("setsockopt", &[0, 1, 2]),
        ("getsockopt", &[0, 1, 2]),
        ("kill", &[0, 1]),
        ("tkill", &[0, 1]),
        ("tgkill", &[0, 1, 2]),
        ("setpriority", &[0, 1, 2]),
        ("keyctl", &[0]),
        ("bpf", &[0, 2]),
        ("setns", &[0, 1]),
        ("sched_setscheduler", &[0, 1]),
        ("mmap", &[2, 3, 4]),
        ("open", &[1, 2]),
        ("openat", &[0, 2, 3]),
    ];
    INTS.iter()
        .any(|(name, arguments)| *name == syscall && arguments.contains(&argument))
}
